"""What is done with files: reading, playing, drawing, engraving, analysing, repairing.

Takes paths, or bytes where a MIDI file is only read; gives what was found, or the paths of what was written. Nothing that is there is
replaced unless `force` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kapelle.errors import UsageError

if TYPE_CHECKING:
    import symusic

    from kapelle.engraving.options import EngravingOptions
    from kapelle.engraving.sheet import Engraved
    from kapelle.score.analysis import Analysis
    from kapelle.score.info import Info
    from kapelle.score.velocity import Struck


def midi_bytes(source: str | Path | bytes) -> bytes:
    """The bytes of a MIDI file, checked to be one."""
    from kapelle.score.read import read

    read(source)
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def read_midi(source: str | Path | bytes) -> symusic.Score:
    """The score in a MIDI file; any bytes are safe to try.

    Raises:
        MidiError: It is no MIDI file, or beyond the limits.
        Missing: There is no such file.
    """
    from kapelle.score.read import read

    return read(source)


def info_file(source: str | Path | bytes) -> Info:
    """What is in a MIDI file: tracks, bars, key, tempo, metre, range."""
    from kapelle.score.info import info

    return info(read_midi(source))


def render_file(
    source: str | Path, out: str | Path, *, synth: str = "soundfont", soundfont: Path | None = None, bits: int = 16, force: bool = False
) -> Path:
    """Play a MIDI file into a sound file (.wav, .flac, .ogg, .opus, .mp3), whose path is returned."""
    from kapelle.audio import files
    from kapelle.render import render

    out = free(out, force)
    files.check_suffix(out, bits)
    files.write(out, render(read_midi(source), synth, soundfont=soundfont), bits=bits)  # type: ignore[arg-type]
    return out


def plot_file(source: str | Path, out: str | Path, *, theme: str = "light", force: bool = False) -> Path:
    """Draw a MIDI file as a piano roll (.png, .svg), whose path is returned."""
    from kapelle.engraving import pianoroll

    out = free(out, force)
    pianoroll.draw(read_midi(source), out, pianoroll.PictureOptions(theme=theme, title=Path(source).stem))
    return out


def plot_row(
    sources: Sequence[str | Path],
    out: str | Path,
    labels: Sequence[str] = (),
    *,
    title: str = "",
    theme: str = "light",
    force: bool = False,
) -> Path:
    """Draw several MIDI files of one length as one picture (.png, .svg), a row each, and return its path.

    Args:
        sources: The files.
        out: The picture.
        labels: What each is called in it.
        title: Above it.
        theme: Colours, "light" or "dark".
        force: Replace a picture that is there already.
    """
    from kapelle.engraving import rows

    names = [*labels, *(Path(source).stem for source in sources[len(labels) :])]
    return rows.draw([read_midi(source) for source in sources], free(out, force), names, title=title, theme=theme)


def velocity_file(
    source: str | Path,
    out: str | Path,
    *,
    value: int = 50,
    every: bool = False,
    humanise: bool = False,
    seed: int = 0,
    force: bool = False,
) -> Struck:
    """Write a MIDI file whose notes have velocity 0 or 1 with velocities that can be heard, and tell what was changed.

    Args:
        source: The MIDI file.
        out: Where to.
        value: Velocity of every note, 1 to 127.
        every: Also where notes have velocities of their own.
        humanise: Louder on bars and beats, softer between, a little by chance.
        seed: Of that chance.
        force: Replace a file that is there.

    Raises:
        UsageError: The notes have velocities of their own, or `out` is there already.
        MidiError: It is no MIDI file, or has no notes.
    """
    from kapelle.score import velocity, write

    out = free(out, force)
    made = velocity.with_velocity(source, value, every=every, humanise=humanise, seed=seed)
    write.write_bytes(out, made.data)
    return made


def engrave_file(
    source: str | Path,
    out: str | Path,
    options: EngravingOptions | None = None,
    *,
    engraver: str = "verovio",
    force: bool = False,
    progress: Callable[[float, float], None] = lambda done, total: None,
) -> Engraved:
    """Write a MIDI file as sheet music (.pdf, .svg, .png, .musicxml, .mxl) and tell the files: one, or one per page of SVG or PNG.

    Args:
        source: The MIDI file.
        out: Where to; the suffix chooses the format.
        options: Title, composer, paper, size ...; the title is the name of the file if left out.
        engraver: ``verovio``, or ``musescore`` if that is installed.
        force: Replace files that are there.
        progress: Called with (work done, work in all).
    """
    from kapelle.engraving import sheet
    from kapelle.engraving.options import EngravingOptions

    out = free(out, force)
    sheet.check_suffix(out)
    options = options or EngravingOptions(title=Path(source).stem)
    return sheet.engrave(read_midi(source), out, options, engraver=engraver, force=force, progress=progress)


def analyse_file(
    source: str | Path | bytes, picture: str | Path | None = None, *, per: str = "bar", theme: str = "light", force: bool = False
) -> Analysis:
    """What a MIDI file is made of: key, ranges, metre, tempo, density, pitch classes, and a chord for each bar or beat.

    Args:
        source: The file, or its bytes.
        picture: Where to draw it (.png, .svg); nowhere if left out.
        per: "bar" or "beat".
        theme: Colours of the picture, "light" or "dark".
        force: Replace a picture that is there already.

    Raises:
        MidiError: It is no MIDI file, or has no notes.
        UnknownName: No such picture format.
    """
    from kapelle.score.analysis import analyse

    if picture is None:
        return analyse(read_midi(source), per)  # type: ignore[arg-type]
    from kapelle.engraving import analysis as drawing
    from kapelle.engraving import picture_files

    out = free(picture, force)
    picture_files.check_suffix(out)
    found = analyse(read_midi(source), per)  # type: ignore[arg-type]
    drawing.draw(found, out, title="" if isinstance(source, bytes) else Path(source).stem, theme=theme)
    return found


def free(out: str | Path, force: bool) -> Path:
    """`out` as a path, if nothing is there that must not be replaced."""
    out = Path(out)
    if out.exists() and not force:
        raise UsageError("{path} exists already", path=out, hint="choose another name, or overwrite it with --force")
    return out
