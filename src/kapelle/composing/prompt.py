"""Music to go on from: read, its key, tempo and metre found, its last bars turned into ids.

Takes the bytes of a MIDI file; gives what a language model hears of it. The music itself is never changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kapelle.composing.front import Front, busiest_program, program_of_track
from kapelle.errors import CannotObey, UnreadableInput, UsageError
from kapelle.score import edit, families, keys, units
from kapelle.score.read import read
from kapelle.tokens import remi

if TYPE_CHECKING:
    from collections.abc import Callable

    import symusic

    from kapelle.composing.language import Model

HEARD_BARS = 16
DIATONIC = 0.95  # with this share of notes in the scale, the continuation stays in it too


@dataclass(frozen=True)
class PromptMusic:
    """A prompt.

    Args:
        front: As it was read; the result stands behind it.
        ids: The last bars as ids, a bar line at the end.
        n_bars: Bars in `ids`.
        all_bars: Bars of the whole prompt.
        key: Estimated.
        model_key: The key that the model is told: "C-major".
        shift: Semitones from the model's key to the prompt's.
        bpm: At the end.
        metre: At the end.
        pitches: MIDI pitches allowed in the model's key, if the prompt keeps to its scale.
        seconds: Its length.
        programs: That the model may name; empty: any, or none at all.
    """

    front: Front
    ids: list[int]
    n_bars: int
    all_bars: int
    key: keys.Key
    model_key: str
    shift: int
    bpm: float
    metre: str
    pitches: tuple[bool, ...] | None
    seconds: float
    programs: tuple[int, ...] = ()


def read_prompt(data: bytes, model: Model, new_bars: Callable[[float, str], int]) -> PromptMusic:
    """The prompt in the bytes of a MIDI file.

    Args:
        data: Any bytes.
        model: What goes on.
        new_bars: (bpm, metre) -> bars that will be added.

    Raises:
        MidiError: The bytes are no MIDI file.
        UsageError: It has no pitched notes near its end.
        CannotObey: Its metre is beyond the model.
    """
    score, spec = read(data), model.spec
    all_bars, end = units.n_bars(score), units.final_bar_line(score)
    n_bars = min(all_bars, HEARD_BARS)
    if not all_bars or not any(len(track.notes) for track in score.tracks if not track.is_drum):
        raise UsageError("the piece to extend has no pitched notes", hint="take a piece with pitched notes")
    above, below = units.metre_at(score, max(end - 1, 0))
    metre, bpm, key = f"{above}/{below}", units.bpm_at(score, end), keys.estimate_key(score)
    home = keys.Key(0 if key.mode == "major" else 9, key.mode) if spec.normalise_key else key
    shift = (key.tonic - home.tonic + 5) % 12 - 5
    heard = edit.resolve_overlaps(edit.transpose(edit.crop_bars(score, all_bars - n_bars, n_bars), -shift))
    if model.families:
        heard = families.by_family(heard, model.families)
    if metre not in spec.metres:
        raise CannotObey(
            "the piece ends in {metre}, which this model does not know", metre=metre, hint="known: {known}", known=", ".join(spec.metres)
        )
    try:
        ids = remi.encode(heard, spec, model.words, n_bars, following=new_bars(bpm, metre)).tolist()
    except UnreadableInput as error:
        raise UsageError("the last {n} bars cannot be gone on from: {why}", n=n_bars, why=str(error)) from error
    return PromptMusic(
        Front(score, end, busiest_program(score)), [*ids, model.words["Bar_None"]], n_bars, all_bars,
        key, f"{remi.TONICS[home.tonic]}-{home.mode}", shift, bpm, metre, _scale_mask(score, key, home), units.duration_s(score),
        tuple(dict.fromkeys(program_of_track(track) for track in heard.tracks)) if model.families else (),
    )  # fmt: skip


def _scale_mask(score: symusic.Score, key: keys.Key, home: keys.Key) -> tuple[bool, ...] | None:
    notes = [note.pitch for track in score.tracks if not track.is_drum for note in track.notes]
    inside = sum(pitch % 12 in key.pitch_classes for pitch in notes)
    if inside < DIATONIC * len(notes):
        return None
    return tuple(pitch % 12 in home.pitch_classes for pitch in range(128))
