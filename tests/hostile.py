"""A corpus of hostile and odd MIDI files, made here: the same bytes for the same seed, nothing taken from anywhere.

Takes a seed; gives `Case`s: a telling name, the bytes, and what a reader owes them: a score with so many notes, an error, or
either of the two (random damage). Used by every test of what stands behind the door: read, tokenise, compose, render, draw.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["score", "error", "either"]

END = b"\x00\xff\x2f\x00"
NOTES = b"\x00\x90\x3c\x50\x83\x60\x80\x3c\x00\x00\x90\x40\x50\x83\x60\x80\x40\x00"
"""Two quarter notes at 480 ticks: C4, then E4."""


@dataclass(frozen=True)
class Case:
    """One file: `n_notes` is what a score must hold, None where anything goes."""

    name: str
    data: bytes
    verdict: Verdict = "either"
    n_notes: int | None = None


def varlen(number: int) -> bytes:
    out = [number & 0x7F]
    while number := number >> 7:
        out.append(number & 0x7F | 0x80)
    return bytes(reversed(out))


def header(form: int = 1, tracks: int = 1, division: int = 480, length: int = 6, extra: bytes = b"") -> bytes:
    return b"MThd" + struct.pack(">IHHH", length, form, tracks, division & 0xFFFF) + extra


def chunk(body: bytes, name: bytes = b"MTrk", length: int | None = None) -> bytes:
    return name + struct.pack(">I", len(body) if length is None else length) + body


def file(*bodies: bytes, form: int = 1, division: int = 480) -> bytes:
    return header(form, len(bodies), division) + b"".join(chunk(body) for body in bodies)


def meta(kind: int, data: bytes, delta: int = 0) -> bytes:
    return varlen(delta) + bytes((0xFF, kind)) + varlen(len(data)) + data


def riff(inner: bytes, form: bytes = b"RMID", before: bytes = b"") -> bytes:
    body = form + before + b"data" + struct.pack("<I", len(inner)) + inner + b"\0" * (len(inner) & 1)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def song(generator: random.Random, n_notes: int = 60) -> bytes:
    """A sane file with three tracks, tempo, metre, key, names, controls and running status."""
    conductor = meta(0x58, bytes((4, 2, 24, 8))) + meta(0x59, b"\x00\x00") + meta(0x51, b"\x07\xa1\x20") + meta(0x06, b"A") + END
    parts = []
    for channel in (0, 1, 9):
        body = meta(0x03, b"part %d" % channel) + bytes((0, 0xC0 | channel, generator.randrange(128), 0, 0xB0 | channel, 7, 100))
        for _ in range(n_notes // 3):
            pitch = generator.randrange(36, 84)
            body += varlen(generator.choice((0, 120, 240, 480))) + bytes((0x90 | channel, pitch, generator.randrange(1, 128)))
            body += varlen(generator.choice((60, 120, 240, 960))) + bytes((pitch, 0))
        parts.append(body + END)
    return file(conductor, *parts)


def corpus(seed: int = 0) -> Iterator[Case]:
    """All cases, more than 400, in a fixed order."""
    for make in (containers, lies, odd_events, truncations, overloads, garbage, fuzz):
        yield from make(random.Random(f"{seed} {make.__name__}"))


def containers(_: random.Random) -> Iterator[Case]:
    """Wrappers, magic numbers, headers."""
    good = file(NOTES + END)
    track = chunk(NOTES + END)
    yield Case("plain", good, "score", 2)
    yield Case("header_of_10", header(length=10, extra=b"\0\0\0\0") + track, "score", 2)
    yield Case("header_of_1000", header(length=1000, extra=bytes(994)) + track, "score", 2)
    yield Case("header_length_lies", header(length=0xFFFFFFFF) + track, "score", 2)
    yield Case("header_of_4", b"MThd\0\0\0\4\0\1\0\1" + track, "error")
    yield Case("header_of_0", b"MThd\0\0\0\0" + track, "error")
    yield Case("rmid", riff(good), "score", 2)
    yield Case("rmid_with_info", riff(good, before=b"LIST\x04\0\0\0INFO"), "score", 2)
    yield Case("rmid_odd_chunk", riff(good, before=b"DISP\x03\0\0\0abc\0"), "score", 2)
    yield Case("rmid_in_rmid", riff(riff(good)), "error")
    yield Case("rmid_200_deep", _nested(good, 200), "error")
    yield Case("rmid_length_lies", riff(good).replace(struct.pack("<I", len(good)), b"\xff\xff\xff\x7f"), "score", 2)
    yield Case("rmid_endless_empty_chunks", b"RIFF\0\0\0\0RMID" + b"LIST\0\0\0\0" * 50_000, "error")
    yield Case("riff_wave", riff(good, form=b"WAVE"), "error")
    yield Case("macbinary", b"\0\x08song.mid".ljust(128, b"\0") + good, "score", 2)
    yield Case("alien_chunks", header() + chunk(b"x" * 99, b"XFIH") + track + chunk(b"", b"XFKM"), "score", 2)
    yield Case("alien_chunk_lies", header() + chunk(b"x" * 9, b"XFIH", 0xFFFFFF00) + track, "score", 2)
    yield Case("only_alien_chunks", header(tracks=0) + chunk(b"abc", b"ABCD") * 1000, "score", 0)
    yield Case("trailing_garbage", good + bytes(range(256)), "score", 2)
    yield Case("trailing_zeros", good + bytes(5000), "score", 2)
    yield Case("no_header", track, "error")
    yield Case("no_tracks", header(tracks=0), "score", 0)
    yield Case("says_65535_tracks", header(tracks=65535) + track, "score", 2)
    yield Case("says_no_tracks", header(tracks=0) + track, "score", 2)
    for division in (0, 0x8000, 0xE700, 0xE800, 0x9C28, 0xFF01):
        yield Case(f"division_{division:04x}", file(NOTES + END, division=division), "error")
    for rate, ticks in ((24, 4), (25, 40), (29, 80), (30, 100), (30, 255), (25, 1)):
        yield Case(f"smpte_{rate}_{ticks}", file(NOTES + END, division=(256 - rate) << 8 | ticks), "score", 2)
    for division in (1, 2, 24, 96, 32767):
        yield Case(f"division_{division}", file(NOTES + END, division=division), "either" if division < 24 else "score", None)
    for form in (0, 1, 2, 3, 255, 65535):
        yield Case(f"format_{form}", file(NOTES + END, form=form), "score", 2)
    yield Case("format_2_three_patterns", file(NOTES + END, NOTES + END, NOTES + END, form=2), "score", 6)
    yield Case("format_0_with_two_tracks", file(NOTES + END, NOTES + END, form=0), "score", 4)
    for magic in (
        b"",
        b"M",
        b"MTh",
        b"MThd",
        b"mthd",
        b"dhTM",
        b"\x1f\x8b\x08",
        b"PK\3\4",
        b"ID3\3",
        b"OggS",
        b"fLaC",
        b"%PDF-1.4",
        b"\x89PNG",
    ):
        yield Case(f"magic_{magic.hex() or 'none'}", magic + (good[4:] if len(magic) > 3 and magic != b"MThd" else b""), "error")
    yield Case("html", b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "error")
    yield Case("html_that_says_MThd", b"<html>MThd is the magic of MIDI</html>", "error")
    yield Case("text", b"this is no music at all\n" * 40, "error")
    yield Case("musicxml", b"<?xml version='1.0'?><score-partwise/>", "error")
    yield Case("utf16_text", "not music".encode("utf-16"), "error")
    yield Case("zeros", bytes(4096), "error")
    yield Case("ones", b"\xff" * 4096, "error")


def _nested(inner: bytes, depth: int) -> bytes:
    for _ in range(depth):
        inner = riff(inner)
    return inner


def lies(_: random.Random) -> Iterator[Case]:
    """Lengths that are not so."""
    body = NOTES + END
    for length in (0, 1, 4, 10, len(body) - 1, len(body) + 1, len(body) + 100, 0x7FFFFFFF, 0xFFFFFFFF):
        yield Case(f"track_length_{length}", header() + chunk(body, length=length), "score", 2)
        yield Case(f"two_tracks_first_length_{length}", header(tracks=2) + chunk(body, length=length) + chunk(body), "score", 4)
    for length in (b"\x7f", b"\xff\x7f", b"\xff\xff\x7f", b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x80\x80\x80\x80\x80\x01"):
        for kind, event in (("sysex", b"\xf0"), ("escape", b"\xf7"), ("text", b"\xff\x01"), ("tempo", b"\xff\x51"), ("name", b"\xff\x03")):
            yield Case(f"{kind}_length_{length.hex()}_first", file(b"\0" + event + length + b"abc"), "error")
            yield Case(f"{kind}_length_{length.hex()}_after_notes", file(NOTES + b"\0" + event + length + b"abc"), "score", 2)


def odd_events(_: random.Random) -> Iterator[Case]:
    """Events that are legal but rare, or illegal but common."""
    odd = {
        "running_status": (b"\0\x90\x3c\x50\x83\x60\x3c\0\0\x40\x50\x83\x60\x40\0" + END, 2),
        "running_status_through_meta": (b"\0\x90\x3c\x50\0\xff\x01\x01a\x83\x60\x3c\0" + END, 1),
        "running_status_through_sysex": (b"\0\x90\x3c\x50\0\xf0\x02\x01\xf7\x83\x60\x3c\0" + END, 1),
        "sysex": (b"\0\xf0\x05\x7e\x7f\x09\x01\xf7" + NOTES + END, 2),
        "sysex_in_packets": (b"\0\xf0\x03\x43\x12\0\x81\x48\xf7\x02\x43\xf7" + NOTES + END, 2),
        "escape_f7": (b"\0\xf7\x02\xf3\x01" + NOTES + END, 2),
        "missing_end_of_track": (NOTES, 2),
        "events_after_end_of_track": (NOTES + END + NOTES, 2),
        "zero_length_notes": (b"\0\x90\x3c\x50\0\x80\x3c\0\x83\x60\x90\x3e\x50\0\x80\x3e\0" + END, 2),
        "never_released": (b"\0\x90\x3c\x50\x83\x60\x90\x40\x50" + b"\x83\x60\xff\x2f\0", 2),
        "never_released_then_nothing": (b"\0\x90\x3c\x50", 1),
        "never_released_then_huge_delta": (b"\0\x90\x3c\x50\xff\xff\xff\x7f\xff\x2f\0", 1),
        "release_without_note": (b"\0\x80\x3c\0" + NOTES + END, 2),
        "all_notes_off": (b"\0\x90\x3c\x50\0\x90\x40\x50\x83\x60\xb0\x7b\0" + END, 2),
        "overlapping_same_pitch": (b"\0\x90\x3c\x50\x81\x70\x90\x3c\x40\x81\x70\x80\x3c\0\x81\x70\x80\x3c\0" + END, 2),
        "velocity_over_127": (b"\0\x90\x3c\xc8\x83\x60\x80\x3c\0" + END, 1),
        "tempo_zero": (meta(0x51, b"\0\0\0") + NOTES + END, 2),
        "tempo_one": (meta(0x51, b"\0\0\1") + NOTES + END, 2),
        "tempo_slowest": (meta(0x51, b"\xff\xff\xff") + NOTES + END, 2),
        "tempo_short": (meta(0x51, b"\x07") + NOTES + END, 2),
        "tempo_long": (meta(0x51, b"\x07\xa1\x20\0\0") + NOTES + END, 2),
        "metre_0_4": (meta(0x58, b"\0\2\x18\x08") + NOTES + END, 2),
        "metre_4_0": (meta(0x58, b"\4\xff\x18\x08") + NOTES + END, 2),
        "metre_255_64": (meta(0x58, b"\xff\6\x18\x08") + NOTES + END, 2),
        "metre_1_64": (meta(0x58, b"\1\6\x18\x08") + NOTES + END, 2),
        "metre_short": (meta(0x58, b"\4") + NOTES + END, 2),
        "metre_empty": (meta(0x58, b"") + NOTES + END, 2),
        "key_of_99_sharps": (meta(0x59, b"\x63\0") + NOTES + END, 2),
        "key_of_128_flats": (meta(0x59, b"\x80\1") + NOTES + END, 2),
        "key_of_mode_9": (meta(0x59, b"\0\x09") + NOTES + END, 2),
        "name_not_utf8": (meta(0x03, b"\xff\xfe\x80") + NOTES + END, 2),
        "name_with_escapes": (meta(0x03, b"\x1b[31mred\x07\0\r\n") + NOTES + END, 2),
        "name_with_markup": (meta(0x03, b"<script>alert(1)</script>") + NOTES + END, 2),
        "name_of_a_megabyte": (meta(0x03, b"n" * 1_000_000) + NOTES + END, 2),
        "name_like_a_path": (meta(0x03, b"../../../../etc/passwd") + NOTES + END, 2),
        "name_in_surrogates": (meta(0x03, b"\xed\xa0\x80") + NOTES + END, 2),
        "unknown_metas": (b"".join(meta(kind, b"abc") for kind in range(0x60, 0x80)) + NOTES + END, 2),
        "sequencer_specific": (meta(0x7F, bytes(1000)) + NOTES + END, 2),
        "smpte_offset": (meta(0x54, b"\x60\0\0\0\0") + NOTES + END, 2),
        "all_pitches_at_once": (b"".join(b"\0\x90%c\x50" % p for p in range(128)) + b"\x83\x60\x80\0\0"
                                + b"".join(b"\0\x80%c\0" % p for p in range(1, 128)) + END, 128),
        "bends_and_pressure": (b"\0\xe0\0\0\0\xe0\x7f\x7f\0\xd0\x40\0\xa0\x3c\x40" + NOTES + END, 2),
        "pedal_never_up": (b"\0\xb0\x40\x7f" + NOTES + END, 2),
        "program_at_every_note": (b"".join(b"\0\xc0%c\0\x90\x3c\x50\x60\x80\x3c\0" % p for p in range(128)) + END, 128),
    }  # fmt: skip
    for name, (body, n_notes) in odd.items():
        yield Case(name, file(body), "score", n_notes)
    for status in range(0xF1, 0xFF):
        if status != 0xF7:
            values = b"\1" * {0xF1: 1, 0xF2: 2, 0xF3: 1}.get(status, 0)
            yield Case(f"message_{status:02x}", file(b"\0" + bytes((status,)) + values + NOTES + END), "score", 2)
    yield Case("value_without_command", file(b"\0\x3c\x50" + NOTES + END), "error")
    yield Case("command_where_value", file(b"\0\x90\x90\x50" + NOTES + END), "error")
    yield Case("delta_of_five_bytes", file(b"\xff\xff\xff\xff\x7f\x90\x3c\x50" + NOTES + END), "error")
    yield Case("delta_of_padded_zeros", file(b"\x80\x80\x80\0\x90\x3c\x50\x60\x80\x3c\0" + END), "score", 1)
    yield Case("delta_of_endless_ff", file(b"\xff" * 100_000), "error")


def truncations(generator: random.Random) -> Iterator[Case]:
    """Files that end too early: at every byte of a short one, at 60 places of a longer one."""
    short = file(meta(0x51, b"\x07\xa1\x20") + NOTES + END)
    for size in range(len(short)):
        yield Case(f"short_cut_at_{size}", short[:size], "error" if size < 14 else "either")
    long = song(generator)
    for size in sorted(generator.sample(range(15, len(long)), 60)):
        yield Case(f"song_cut_at_{size}", long[:size])
        yield (
            Case(f"song_in_riff_cut_at_{size}", riff(long)[:size])
            if size % 3 == 0
            else Case(f"song_without_{size}", long[:size] + long[size + 1 :])
        )


def overloads(generator: random.Random) -> Iterator[Case]:
    """Small files that ask for much: time, bars, notes, tracks, events."""
    huge = b"\xff\xff\xff\x7f"
    yield Case("huge_delta_before_note", file(huge + NOTES[1:] + END), "error")
    yield Case("huge_delta_inside_note", file(b"\0\x90\x3c\x50" + huge + b"\x80\x3c\0" + END), "error")
    yield Case("huge_delta_after_notes", file(NOTES + huge + b"\xff\x2f\0"), "score", 2)
    yield Case("deltas_past_32_bits", file((huge + b"\x90\x3c\x50" + huge + b"\x80\x3c\0") * 40 + END), "error")
    yield Case("deltas_past_32_bits_without_notes", file((huge + b"\xb0\x07\x40") * 40 + END), "score", 0)
    yield Case("deltas_past_64_bits", file((huge + b"\x90\x3c\x50" + huge + b"\x80\x3c\0") * 100_000 + END), "error")
    yield Case(
        "huge_deltas_at_the_fastest_tempo",
        file(meta(0x51, b"\0\0\1") + (huge + b"\x90\x3c\x50\x01\x80\x3c\0") * 8 + END, division=32767),
        "error",
    )
    yield Case("bars_of_a_64th", file(meta(0x58, b"\1\6\x18\x08") + b"\0\x90\x3c\x50" + varlen(2_000_000) + b"\x80\x3c\0" + END), "error")
    yield Case("bars_below_a_tick", file(meta(0x58, b"\1\6\x18\x08") + b"\0\x90\x3c\x50\x83\x60\x80\x3c\0" + END, division=1))
    yield Case(
        "metre_change_every_tick",
        file(b"".join(meta(0x58, bytes((1 + i % 2, 2, 24, 8)), 1) for i in range(8000)) + NOTES + END),
        "score",
        2,
    )
    yield Case(
        "tempo_change_every_tick",
        file(b"".join(meta(0x51, struct.pack(">I", 500_000 + i)[1:], 1) for i in range(40_000)) + NOTES + END),
        "score",
        2,
    )
    yield Case("a_million_tempi", file(b"\0\xff\x51\x03\x07\xa1\x20" * 1_000_000 + NOTES + END), "error")
    yield Case("a_million_metres", file(b"\0\xff\x58\x04\x04\x02\x18\x08" * 1_000_000 + NOTES + END), "error")
    yield Case("half_a_million_keys", file(b"\0\xff\x59\x02\0\0" * 480_000 + NOTES + END), "score", 2)
    yield Case("half_a_million_markers", file(b"\0\xff\x06\x01A" * 480_000 + NOTES + END), "score", 2)
    yield Case("half_a_million_texts", file(b"\0\xff\x01\0" * 480_000 + NOTES + END), "score", 2)
    yield Case("half_a_million_names", file(b"\0\xff\x03\x01n" * 480_000 + NOTES + END), "score", 2)
    yield Case("half_a_million_pressures", file(b"\0\xd0\x01" + b"\0\x01" * 480_000 + NOTES + END), "score", 2)
    yield Case("half_a_million_controls", file(b"\0\xb0\x07\x01" + b"\0\x07\x01" * 480_000 + NOTES + END), "score", 2)
    yield Case("half_a_million_pedals", file(b"\0\xb0\x40\x7f" + b"\x01\x40\0\0\x40\x7f" * 240_000 + NOTES + END))
    yield Case("half_a_million_bends", file(b"\0\xe0\0\0" + b"\0\x01\x40" * 480_000 + NOTES + END), "score", 2)
    yield Case("ninety_thousand_silences", file((b"\0\x90\x3c\x50\0\xb0\x7b\0") * 90_000 + END), "score", 90_000)
    yield Case("four_million_events", file(b"\0\xd0\x01" + b"\0\x01" * 4_000_000 + END), "error")
    yield Case("two_million_notes", file(b"\0\x90\x3c\x50" + b"\0\x3c\0\0\x3c\x50" * 1_000_000 + END), "error")
    yield Case("notes_up_to_the_limit", file(b"\0\x90\x3c\x50\0\x3c\0" + b"\0\x3c\x50\x01\x3c\0" * 99_999 + END), "score", 100_000)
    yield Case(
        "open_notes_of_one_pitch", file(b"\0\x90\x3c\x50" + b"\0\x3c\x50" * 99_999 + b"\x01\x3c\0" * 100_000 + END), "score", 100_000
    )
    yield Case("open_notes_never_closed", file(b"\0\x90\x3c\x50" + b"\0\x3c\x50" * 99_999 + END), "score", 100_000)
    yield Case("stray_releases", file(b"\0\x80\x3c\x50" + b"\0\x3c\x50" * 480_000 + END), "score", 0)
    yield Case("tracks_500", file(*[NOTES + END] * 500), "score", 1000)
    yield Case("tracks_513", file(*[NOTES + END] * 513), "error")
    yield Case("tracks_60000_empty", header(tracks=60000) + chunk(END) * 60_000, "error")
    yield Case("tracks_60000_of_lying_length", header(tracks=60000) + chunk(b"", length=0x7FFFFFFF) * 60_000, "error")
    yield Case("aliens_100000", header() + chunk(b"", b"ABCD") * 100_000 + chunk(NOTES + END), "score", 2)
    yield Case("patterns_500", file(*[NOTES + END] * 500, form=2), "score", 1000)
    every_program = b"".join(b"\0%c%c\0%c\x3c\x50\x10%c\x3c\0" % (0xC0 | c, p, 0x90 | c, 0x80 | c) for c in range(16) for p in range(128))
    yield Case("2000_instruments_in_a_track", file(every_program + END), "error")
    yield Case("bigger_than_allowed", file(NOTES + END) + bytes(9 * 1024 * 1024), "error")
    yield Case("sysex_of_seven_megabytes", file(b"\0\xf0" + varlen(7_000_000) + bytes(7_000_000) + NOTES + END), "score", 2)
    yield Case("random_events_megabyte", file(generator.randbytes(1_000_000)))
    yield Case("random_values_megabyte", file(b"\0\x90" + bytes(generator.choices(range(128), k=1_000_000))))


def garbage(generator: random.Random) -> Iterator[Case]:
    """Random bytes, bare or behind a good beginning."""
    for i in range(30):
        yield Case(f"random_{i}", b"\xfe" + generator.randbytes(generator.randrange(0, 4000)), "error")
        yield Case(f"random_after_header_{i}", header(tracks=3) + generator.randbytes(generator.randrange(0, 4000)))
        yield Case(f"random_in_track_{i}", file(generator.randbytes(generator.randrange(0, 4000))))
        yield Case(f"random_after_notes_{i}", file(NOTES + generator.randbytes(generator.randrange(0, 4000))))


def fuzz(generator: random.Random) -> Iterator[Case]:
    """A sane song with bytes flipped, removed, doubled or swapped."""
    for i in range(100):
        data = bytearray(song(generator))
        for _ in range(1 + i // 10):
            at = generator.randrange(len(data))
            what = generator.randrange(5)
            if what == 0:
                data[at] ^= 1 << generator.randrange(8)
            elif what == 1:
                data[at] = generator.choice((0, 0x7F, 0x80, 0xFF))
            elif what == 2:
                del data[at : at + generator.randrange(1, 9)]
            elif what == 3:
                data[at:at] = generator.randbytes(generator.randrange(1, 9))
            else:
                other = generator.randrange(len(data))
                data[at : at + 8], data[other : other + 8] = data[other : other + 8], data[at : at + 8]
        yield Case(f"fuzzed_{i}", bytes(data))
