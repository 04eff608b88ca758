"""A composed piece: the score, what it was asked to be, and how it came about.

It can be saved, heard, drawn and shown; each of these is one call into the room that does it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import symusic

from kapelle.composing.request import ComposeRequest, from_json
from kapelle.errors import UnreadableInput
from kapelle.score.marks import Mark

if TYPE_CHECKING:
    from kapelle.audio import Waveform
    from kapelle.engraving.options import EngravingOptions


_PROVENANCE = re.compile(rb"composed by Kapelle; model ([a-z0-9-]{1,100}); bundle ([0-9a-f]{16})[^\0\xff]{0,300}?; seed (\d{1,20})")


@dataclass(frozen=True)
class PieceReport:
    """How a piece came about.

    Args:
        attempts: 1 if the first try was taken.
        first_failures: Why the first try was not taken; empty if it was.
        problems: What is still wrong with the result after the last attempt; empty if nothing.
        n_bars: Bars of music, the prompt's included.
        n_notes: Notes in the score.
        n_tokens: Tokens drawn in the attempt that was taken.
        dropped: Tokens or notes that found no place in the score.
        closed: How the piece ended: "bar line" if the model closed the last bar itself, "full bar" if the bar could hold no more,
            "longest piece" if a piece can have no more bars.
        facts: What was found or chosen: key, tempo, metre, genre ...
    """

    attempts: int = 1
    first_failures: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    n_bars: int = 0
    n_notes: int = 0
    n_tokens: int = 0
    dropped: int = 0
    closed: str = "bar line"
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Piece:
    """A piece of music with its history.

    Args:
        score: The music, in ticks.
        request: What was asked, seed included: the same request makes the same piece.
        model: Name of the bundle.
        bundle_hash: Of the bundle that composed it.
        end_ticks: The final bar line.
        marks: Sections and themes.
        report: How it came about.
        band_hash: Of the bundle that played around it; empty if none did.
        sources: Name and hash of other bundles that had a part in it.
    """

    score: symusic.Score
    request: ComposeRequest
    model: str
    bundle_hash: str
    end_ticks: int
    marks: tuple[Mark, ...] = ()
    report: PieceReport = field(default_factory=PieceReport)
    band_hash: str = ""
    sources: tuple[tuple[str, str], ...] = ()

    @property
    def provenance(self) -> str:
        """One line for the file: model, bundle and seed. No time and no version, so that bytes repeat."""
        band = f"; band {self.request.band} {self.band_hash[:16]}" if self.band_hash else ""
        more = "".join(f"; theme by {name} {digest[:16]}" for name, digest in self.sources)
        return f"composed by Kapelle; model {self.model}; bundle {self.bundle_hash[:16]}{more}{band}; seed {self.request.seed}"

    def to_midi(self) -> bytes:
        """The bytes of a MIDI file: type 1, named tracks, markers, all tracks ending at the final bar line."""
        from kapelle.score import marks, write

        return write.to_bytes(marks.with_marks(self.score, self.marks), text=self.provenance, end_ticks=self.end_ticks)

    def save(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the MIDI file `path`, which is returned; an existing file only with `force`."""
        from kapelle.score import marks, write

        score = marks.with_marks(self.score, self.marks)
        return write.write(score, path, text=self.provenance, end_ticks=self.end_ticks, force=force)

    def render(self, synth: str = "soundfont", **options: Any) -> Waveform:
        """The sound; options as for `kapelle.render.render`."""
        from kapelle import render

        return render.render(self.score, synth, **options)  # type: ignore[arg-type]

    def to_wav(self, path: str | Path, synth: str = "soundfont", **options: Any) -> Path:
        """Write the sound to `path` (.wav, .flac, .ogg, .mp3 ...), which is returned."""
        from kapelle.audio import files

        files.write(Path(path), self.render(synth, **options))
        return Path(path)

    def plot(self, path: str | Path) -> Path:
        """Draw the piano roll to `path` (.png or .svg), which is returned."""
        from kapelle.engraving import pianoroll

        pianoroll.draw(self.score, Path(path), marks=self.marks or None)
        return Path(path)

    def engrave(self, path: str | Path, options: EngravingOptions | None = None) -> tuple[Path, ...]:
        """Write the piece as sheet music to `path` (.pdf, .svg, .png, .musicxml ...); the files, one per page of SVG or PNG."""
        from kapelle.engraving import sheet

        return sheet.engrave(self.score, Path(path), options).files

    def show(self) -> Any:
        """The piece in a notebook, with a player; elsewhere a window-less summary is printed."""
        try:
            from IPython.display import HTML, display
        except ImportError:
            print(repr(self))
            return None
        return display(HTML(self._repr_html_()))

    def to_music21(self) -> Any:
        """A music21 stream of the piece, for analysis.

        Raises:
            Missing: music21 is not installed.
        """
        from kapelle.errors import Missing

        try:
            from music21 import converter
        except ImportError as error:
            raise Missing("music21 is not installed", hint="pip install music21") from error
        return converter.parseData(self.to_midi(), format="midi")

    def to_json(self) -> dict[str, Any]:
        """A table for JSON that makes the piece again: request, bundle and the MIDI itself."""
        return {
            "kapelle": 1,
            "request": self.request.to_json(),
            "model": self.model,
            "bundle": self.bundle_hash,
            **({"band_bundle": self.band_hash} if self.band_hash else {}),
            **({"sources": dict(self.sources)} if self.sources else {}),
            "midi": base64.b64encode(self.to_midi()).decode(),
        }

    def save_recipe(self, path: str | Path) -> Path:
        """Write how the piece was made to a JSON file, from which ``kapelle compose --from`` makes it again."""
        from kapelle.score.write import write_bytes

        table = self.to_json()
        del table["midi"]
        write_bytes(Path(path), (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode())
        return Path(path)

    def __repr__(self) -> str:
        facts = ", ".join(f"{name} {value}" for name, value in self.report.facts.items())
        return f"<Piece of {self.report.n_bars} bars, {self.report.n_notes} notes: {facts}; model {self.model}, seed {self.request.seed}>"

    def _repr_html_(self) -> str:
        """For notebooks: the piano roll, a player and the MIDI file to drag out."""
        import html
        import tempfile

        from kapelle.audio import files
        from kapelle.engraving import pianoroll

        with tempfile.TemporaryDirectory() as folder:
            sound, picture = Path(folder) / "piece.ogg", Path(folder) / "piece.svg"
            files.write(sound, self.render())
            pianoroll.draw(self.score, picture)
            audio = base64.b64encode(sound.read_bytes()).decode()
            svg = picture.read_text(encoding="utf-8")
        midi = base64.b64encode(self.to_midi()).decode()
        return (
            f"<div>{svg[svg.find('<svg') :]}<br><audio controls src='data:audio/ogg;base64,{audio}'></audio> "
            f"<a download='kapelle-{self.request.seed}.mid' href='data:audio/midi;base64,{midi}'>{html.escape(repr(self))}</a></div>"
        )


@dataclass(frozen=True)
class Provenance:
    """What a file says of itself.

    Args:
        model: Name of the bundle that composed it.
        bundle: The first 16 figures of the bundle's hash.
        seed: Its seed.
    """

    model: str
    bundle: str
    seed: int


def provenance_of(data: bytes) -> Provenance | None:
    """What the line that Kapelle writes into its MIDI files says of the piece; None if there is none among the bytes of the file."""
    found = _PROVENANCE.search(data)
    return Provenance(found[1].decode(), found[2].decode(), int(found[3])) if found else None


def request_of(path: Path) -> tuple[ComposeRequest, dict[str, str]]:
    """The request in a file made by `Piece.save_recipe`, and the hash of every bundle by the name that the request has for it.

    Raises:
        UnreadableInput: The file is none.
    """
    try:
        table = json.loads(path.read_bytes())
        wish = from_json(table["request"])
        band = {wish.band: str(table["band_bundle"])} if wish.band else {}
        sources = {str(name): str(digest) for name, digest in dict(table.get("sources", {})).items()}
        return wish, {wish.model: str(table["bundle"])} | band | sources
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnreadableInput("{path} is no recipe of a piece: {why}", path=path, why=error, hint="--save-recipe writes one") from error
