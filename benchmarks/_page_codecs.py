"""The section of docs/reference/figures.md about residual vector quantisation: see `_page.py`, which puts it on the page."""

from __future__ import annotations

from typing import Any

import _texts

HEAD = ("codebooks", "kbit/s", "with entropy coding", "SI-SDR, dB", "of the worst piece", "log-spectral distance, dB")


def rvq(found: dict[str, Any]) -> str:
    """What each codebook adds, and what becomes of it if codebooks are learned otherwise."""
    rows = [
        (one["codebooks"], *(f"{one[key]:.0f}" for key in ("kbit_s", "entropy_kbit_s")),
         *(f"{one[key]:.1f}" for key in ("si_sdr_db", "least_si_sdr_db", "log_spectral_db")))
        for one in found["codebooks"]
    ]  # fmt: skip
    ways = [
        (name, kind, *(f"{value:.1f}" for value in one[key]))
        for name, one in found["ways"].items()
        for kind, key in (("learned from", "heard_db"), ("others", "error_db"))
    ]
    worse = [(name, "others, share made worse", *(f"{share:.0%}" for share in one["worse"])) for name, one in found["ways"].items()]
    about = (
        f"{found['pieces']} rendered pieces, {found['unknown_s']:.0f} s at {found['rate_hz'] / 1000:g} kHz, coded with codebooks of "
        f"{found['size']} rows that were learned from {found['known_s']:.0f} s of four others: {found['vectors']:,} vectors of "
        f"{found['width']} coefficients, {found['learning_cpu_s']:.0f} CPU s. With entropy coding: what the ids would cost if frequent "
        "ones were written shorter"
    )
    how = (
        "The error after each codebook in dB of the sound, by how codebooks are learned; below, the share of vectors that a codebook takes "
        "farther from what they were. Sums begun as rows: as in EnCodec's released training code, after as many updates"
    )
    return (
        f"## Codebooks of a residual vector quantiser\n\n`python benchmarks/rvq.py`; {about}.\n\n{_texts.table(HEAD, rows)}\n{how}.\n\n"
        + _texts.table(("learned by", "measured on", *(str(row[0]) for row in rows)), [*ways, *worse])
    )


SECTIONS = {"rvq": rvq}
