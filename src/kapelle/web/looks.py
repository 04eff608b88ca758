"""What helpers do for the server: each takes the bytes of a file and gives plain values for JSON, or bytes.

Thin: every function is one call of `kapelle.api`. They are functions of a module of their own because a helper process finds them by name,
and it need not load the server for that.
"""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle import api
from kapelle.api import downloads
from kapelle.errors import MidiError
from kapelle.web.jobs import finite

if TYPE_CHECKING:
    from kapelle.score.info import TrackInfo

SOUND_SUFFIXES = {
    "audio/wav": ".wav", "audio/x-wav": ".wav", "audio/wave": ".wav", "audio/vnd.wave": ".wav", "audio/flac": ".flac",
    "audio/x-flac": ".flac",
    "audio/ogg": ".ogg", "audio/opus": ".opus", "audio/mpeg": ".mp3", "audio/mp3": ".mp3",
}  # fmt: skip
"""Media type -> suffix by which the reader of sounds knows it."""


def midi_info(data: bytes) -> dict[str, Any]:
    """What is in a MIDI file.

    Raises:
        MidiError: It is none, or it holds no notes.
    """
    found = api.info_file(data)
    if not found.n_notes:
        raise MidiError("the file holds no notes", hint="choose a MIDI file with music in it")
    return {
        "n_bars": found.n_bars,
        "n_notes": found.n_notes,
        "duration_s": round(found.duration_s, 3),
        "key": found.key,
        "tempo": found.tempos_bpm[0] if found.tempos_bpm else None,
        "metre": found.metres[0] if found.metres else None,
        "tracks": [_track(one) for one in found.tracks],
    }


def _track(one: TrackInfo) -> dict[str, Any]:
    program = -1 if one.is_drum else one.program
    return {"name": one.name[:120], "program": program, "instrument": one.instrument, "n_notes": one.n_notes}


INLINE = 1 << 20
"""Bytes that go from process to process; more go by way of a file."""


def warm() -> None:
    """Load what most work needs, so that the first who asks need not wait for it."""
    from symusic import Note, Score, Track

    from kapelle.score import write

    track = Track("", 0)
    track.notes.append(Note(0, 240, 60, 80))
    score = Score(480)
    score.tracks.append(track)
    data = write.to_bytes(score)
    midi_info(data)
    api.piece_chunk(data, 0, 0)


def download(data: bytes, format: str, title: str, request: dict[str, Any] | None, folder: Path) -> tuple[bytes | Path, str, str]:
    """A piece in a format: its bytes, or a new file in `folder` that holds them; media type; suffix."""
    made, media_type, suffix = downloads.download(data, format, title=title, request=request)
    if len(made) <= INLINE:
        return made, media_type, suffix
    path = folder / f"{secrets.token_hex(12)}{suffix.replace(' ', '')}"
    path.write_bytes(made)
    return path, media_type, suffix


def analysis(data: bytes, per: str = "bar") -> dict[str, Any]:
    """Key, chords, ranges, metre, tempo and density."""
    table: dict[str, Any] = finite(api.analyse_file(data, per=per).as_dict())
    return table


def classification(data: bytes, model: str = "") -> dict[str, Any]:
    """The genre of a MIDI file, every class with its probability."""
    return _classified(data, ".mid", model)


def sound_classification(data: bytes, suffix: str, model: str = "") -> dict[str, Any]:
    """The genre of a sound."""
    return _classified(data, suffix, model)


def _classified(data: bytes, suffix: str, model: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="kapelle-") as folder:
        path = Path(folder) / f"music{suffix}"
        path.write_bytes(data)
        table: dict[str, Any] = finite(api.classify(path, model)[0])
    del table["file"]
    return table


def originality(data: bytes, model: str = "") -> dict[str, Any]:
    """What of a piece stands in the music that its model learned from; ``originality`` is null where the model has no index of that."""
    found = api.originality(data, model=model)
    return {"originality": finite(found.as_dict()) if found is not None else None}


def themes(data: bytes) -> dict[str, Any]:
    """The theme of a piece, and where it comes back."""
    table: dict[str, Any] = finite(api.themes_file(data).as_dict())
    return table
