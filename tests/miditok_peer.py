"""The miditok tokenizer of a RemiSpec, with every option set: the peer that encoding, decoding and grammar are held against."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import symusic

from kapelle.tokens.remi import RemiSpec, control_names

miditok = pytest.importorskip("miditok", reason="the peer of the cross-check")


@lru_cache(maxsize=32)
def tokenizer(spec: RemiSpec) -> Any:
    metres: dict[int, list[int]] = {}
    for metre in spec.metres:
        above, below = metre.split("/")
        metres.setdefault(int(below), []).append(int(above))
    config = miditok.TokenizerConfig(
        pitch_range=(spec.pitch_low, spec.pitch_high),
        beat_res={(0, spec.fine_beats): spec.positions_per_beat, (spec.fine_beats, spec.max_beats): spec.coarse_steps},
        num_velocities=spec.velocities,
        special_tokens=list(control_names(spec)),
        use_velocities=True,
        use_note_duration_programs=list(range(-1, 128)),
        use_chords=spec.chords,
        use_rests=False,
        use_tempos=spec.tempos,
        use_time_signatures=True,
        use_key_signatures=False,
        use_sustain_pedals=False,
        use_pitch_bends=False,
        use_control_changes=False,
        use_programs=spec.programs,
        use_pitch_intervals=False,
        use_pitchdrum_tokens=spec.programs,
        num_tempos=32,
        tempo_range=(40, 250),
        log_tempos=False,
        remove_duplicated_notes=True,
        delete_equal_successive_tempo_changes=True,
        delete_equal_successive_time_sig_changes=True,
        time_signature_range=metres,
        programs=list(range(-1, 128)),
        one_token_stream_for_programs=True,
        program_changes=False,
        drums_pitch_range=(27, 88),
        max_bar_embedding=None,
        use_bar_end_tokens=False,
        add_trailing_bars=False,
    )
    return miditok.REMI(config)


def names(spec: RemiSpec) -> tuple[str, ...]:
    table: dict[str, int] = tokenizer(spec).vocab
    return tuple(sorted(table, key=lambda name: table[name]))


def encode(score: symusic.Score, spec: RemiSpec) -> np.ndarray:
    """The ids by miditok, without countdown; without programs all pitched tracks are merged into one first."""
    sequence = tokenizer(spec)(score) if spec.programs else tokenizer(spec)(_merged(score))[0]
    return np.asarray(sequence.ids, np.int64)


def _merged(score: symusic.Score) -> symusic.Score:
    out = symusic.Score(score.ticks_per_quarter)
    out.tempos, out.time_signatures = score.tempos, score.time_signatures
    track = symusic.Track(name="Piano", program=0, is_drum=False)
    for source in score.tracks:
        if not source.is_drum:
            track.notes.extend(source.notes)
    track.notes.sort(key=lambda note: (note.time, note.pitch, -note.duration))
    out.tracks.append(track)
    return out
