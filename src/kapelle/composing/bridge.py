"""From a band to a theme to a piece: MuseGAN plays a phrase, its first bars become a theme, and the Theme Transformer develops that.

Takes the bundle of codec ``theme`` and a request, gives events and a piece. The band is a second bundle, of codec ``roll``. Its phrase is
cut at a bar line, `BARS` bars from where the melody begins; the melody is the top voice of the guitar, or of the highest other track
where the guitar rests; the piano accompanies it, and so do notes far below the melody on its own track, thinned where it is too full
(`score.thinning`); all of it is marked as theme, and the band's tempo and key are kept. A phrase without a melody is no theme: then the
next one is made, and the report says how many it took.

Source: the pipeline of the thesis, whose function cannot run as printed (docs/explanation/bridge.md): 2 bars in place of its "6 seconds",
which were 4.8; melody first, one voice, an accompaniment that is not so full that the model repeats it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import symusic

from kapelle.bundles import load
from kapelle.composing import band, theme, theme_plan
from kapelle.composing.attempts import MAX_ATTEMPTS, stream
from kapelle.composing.events import Done, Event, Progress
from kapelle.composing.offered import WHOLE_BARS, Offered
from kapelle.composing.piece import Piece
from kapelle.composing.request import ComposeRequest, Length
from kapelle.composing.theme_given import MAX_THEME_BARS
from kapelle.config import setting
from kapelle.errors import CannotObey, Interrupted, UnknownName, UsageError
from kapelle.score import edit, units
from kapelle.score.marks import Mark, with_marks
from kapelle.score.melody import MELODY, PIANO, STEPS_PER_BAR, TPQ, line, on_grid, two_tracks
from kapelle.score.roll import TRACKS, family_of
from kapelle.score.write import to_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kapelle.bundles.load import Bundle
    from kapelle.bundles.manifest import Manifest

__all__ = ["Options", "compose"]

BARS = 2
"""Of the theme, unless asked otherwise."""

MOST_BARS = MAX_THEME_BARS
LEAD, ACCOMPANIMENT = "guitar", "piano"
ENOUGH = 4
"""Notes that make a melody; with fewer the guitar counts as resting, and another track is looked at."""

FEWEST = 2
REGISTER = 64
"""A melody whose middle lies lower is raised by octaves: nine of ten notes that are sung in POP909 are 60 to 84."""

DEPTH = 14
"""Semitones below the upper quartile of the top voice, down to which notes are of the melody."""

BAND_SHARE = 0.1
"""So much of the progress is the band's."""

_NEXT = 1000
"""Streams of random numbers from this on say which phrase is made next; those below belong to attempts."""


@dataclass(frozen=True)
class Options(theme_plan.Options):
    """What can be asked of the bridge: all that can be asked of a model that develops a theme, and which band it is from."""

    from_band: str = setting(
        "band-composer", help="band whose first bars become the theme of the bridge, by name or folder",
        ru="ансамбль, первые такты которого становятся темой моста: имя или папка",
    )  # fmt: skip
    theme_seconds: float | None = setting(
        None, help="length of the bridge's theme, rounded to whole bars; 2 bars if left out", min=1, max=60, step=0.1,
        ru="длина темы моста, округляется до целых тактов; без этого 2 такта",
    )  # fmt: skip
    phrases: int = setting(
        16, help="phrases that the band may play until one has a melody", min=1, max=64, step=1,
        ru="сколько фраз может сыграть ансамбль, пока в одной не найдётся мелодия",
    )  # fmt: skip


@dataclass(frozen=True)
class Cut:
    """Bars of a band as a theme.

    Args:
        score: The tracks MELODY and PIANO, marked as theme.
        track: Whose top voice is the melody.
        first_bar: Of the band's music, from 0, in which the theme begins.
        n_bars: Of the theme.
        thinned: Notes of the accompaniment that were left out.
        raised: Octaves by which the melody is higher than in the band.
    """

    score: symusic.Score
    track: str
    first_bar: int
    n_bars: int
    thinned: int
    raised: int = 0


@dataclass(frozen=True)
class Opening:
    """The theme that a band gave.

    Args:
        data: Its MIDI file.
        band: The bundle that played.
        seed: Of its phrase.
        n_tried: Phrases that were made, this one included.
        cut: What the theme is.
    """

    data: bytes
    band: Bundle
    seed: int
    n_tried: int
    cut: Cut

    @property
    def facts(self) -> dict[str, Any]:
        """For the report."""
        return {
            "from_band": self.band.name,
            "band_seed": self.seed,
            "band_phrases": self.n_tried,
            "band_track": self.cut.track,
            "band_bars": [self.cut.first_bar, self.cut.first_bar + self.cut.n_bars],
            "thinned": self.cut.thinned,
            "raised": self.cut.raised,
        }


def offered(manifest: Manifest) -> Offered:
    """Whole bars, from nothing: the bands that are installed make the theme."""
    from kapelle.bundles import load

    del manifest
    held = [item.manifest for item in load.installed() if item.manifest is not None]
    bands = tuple(one.name for one in held if one.codec == "roll" and not one.options.get("conditional"))
    return Offered(("compose",), WHOLE_BARS, {"from_band": bands, "theme_length": ()})  # theme_seconds says the same


def compose(bundle: Bundle, request: ComposeRequest, options: Options, cancelled: Callable[[], bool]) -> Iterator[Event]:
    """Events of one piece, Done with the piece last.

    Raises:
        UsageError, CannotObey: What is asked contradicts itself or is beyond the models; or no phrase of the band had a melody.
        Missing: The band is not installed.
        Interrupted: `cancelled` said so.
    """
    if request.theme is not None or request.prompt is not None or request.lead is not None:
        raise CannotObey(
            "the bridge composes from nothing: it makes its own theme", hint="`kapelle develop THEME.mid` develops one that you bring"
        )
    given = yield from opening(request, options, cancelled)
    yield from developed(bundle, request, options, given, cancelled)


def developed(
    bundle: Bundle,
    request: ComposeRequest,
    options: Options,
    given: Opening,
    cancelled: Callable[[], bool],
    most_attempts: int = MAX_ATTEMPTS,
) -> Iterator[Event]:
    """Events of the piece on the theme `given`, Done with the piece last; otherwise as `compose`."""
    names = theme_plan.Options.__dataclass_fields__
    asked = theme_plan.Options(**{name: getattr(options, name) for name in names if name not in ("theme_length", "melody_track")})
    for event in theme.compose(bundle, replace(request, theme=given.data), asked, cancelled, most_attempts):
        if isinstance(event, Progress):
            yield Progress(BAND_SHARE + (1 - BAND_SHARE) * event.done)
        elif isinstance(event, Done):
            yield Done(_told(event.piece, request, given))
        else:
            yield event


def _told(piece: Piece, request: ComposeRequest, given: Opening) -> Piece:
    """The piece as what was asked for, with where its theme is from."""
    report = replace(piece.report, facts={**piece.report.facts, **given.facts, "melody": given.cut.track})
    return replace(piece, request=request, report=report, sources=((given.band.name, given.band.hash),))


def opening(request: ComposeRequest, options: Options, cancelled: Callable[[], bool]) -> Generator[Event, None, Opening]:
    """Progress while the band plays; the `Opening` is what the generator returns.

    Raises:
        UsageError, CannotObey: No phrase of the band had a melody, or the lengths of the theme contradict each other.
    """
    if options.theme_seconds is not None and options.theme_length is not None:
        raise UsageError("--theme-seconds and --theme-length contradict each other", hint="leave one of the two out")
    held = load.load(options.from_band)
    if held.manifest.codec != "roll":
        raise CannotObey("{name} is no band, and a theme of the bridge is from one", name=held.name, hint="`kapelle models` lists bands")
    for number in range(options.phrases):
        if cancelled():
            raise Interrupted("composing was cancelled")
        seed = request.seed if number == 0 else int(stream(request, _NEXT + number).integers(2**31))
        made = opening_of(held, seed, options, cancelled)
        yield Progress(BAND_SHARE * (number + 1) / options.phrases)
        if made is not None:
            return replace(made, n_tried=number + 1)
    raise CannotObey(
        "the band {name} played {n} phrases, and none begins with a melody", name=held.name, n=options.phrases,
        hint="choose another --seed, another --from-band or more --phrases",
    )  # fmt: skip


def opening_of(
    held: Bundle, seed: int, options: Options, cancelled: Callable[[], bool], most_attempts: int = MAX_ATTEMPTS
) -> Opening | None:
    """The theme that the band `held` gives with a seed; None if its phrase has no melody."""
    score = phrase(held, seed, options, cancelled, most_attempts).score
    made = cut(score, _n_bars(options, units.bpm_at(score)), options.melody_track)
    return None if made is None else Opening(to_bytes(made.score, end_ticks=made.n_bars * 4 * TPQ), held, seed, 1, made)


def phrase(held: Bundle, seed: int, options: Options, cancelled: Callable[[], bool], most_attempts: int = MAX_ATTEMPTS) -> Piece:
    """The music of the band of a seed, long enough for the longest theme that can be asked for."""
    wish = ComposeRequest(held.name, Length(MOST_BARS if options.theme_seconds or options.theme_length else 2 * BARS), seed)
    for event in band.compose(held, wish, band.Options(tempo=options.tempo), cancelled, most_attempts):
        if isinstance(event, Done):
            return event.piece
    raise Interrupted("composing ended without a piece")


def _n_bars(options: Options, bpm: float) -> int:
    """Bars of the theme."""
    if options.theme_length is not None:
        return options.theme_length
    if options.theme_seconds is None:
        return BARS
    return min(max(round(options.theme_seconds * bpm / 240), 1), MOST_BARS)


def cut(score: symusic.Score, n_bars: int, wanted: str = "") -> Cut | None:
    """The first `n_bars` bars of a band's music that begin with a melody, as a theme; None where there is none.

    A theme begins in the bar in which its melody begins, if so many bars follow.

    Args:
        score: In 4/4, with tracks of the families of `score.roll`.
        n_bars: Of the theme, 1 or more.
        wanted: The track of the melody; found if left out.
    """
    lead = _lead(score, wanted)
    if lead is None:
        return None
    track, name = lead
    part = score.copy()
    piano = [one for one in score.tracks if _family(one) == ACCOMPANIMENT and name != ACCOMPANIMENT]
    part.tracks = [_part(track, MELODY, upper=True), _part(track, PIANO, upper=False), *piano]
    first_bar = int(_line(part.tracks[0], part)["start"][0]) // STEPS_PER_BAR
    if first_bar + n_bars > units.n_bars(score):
        return None
    part = edit.crop_bars(part, first_bar, n_bars)
    if len(_line(part.tracks[0], part)) < FEWEST:
        return None
    made, full = two_tracks(part, melody=0), two_tracks(part, melody=0, thin=False)
    thinned = len(full.tracks[1].notes) - len(made.tracks[1].notes)
    raised = max(0, -int((_middle(made.tracks[0]) - REGISTER) // 12))
    made.tracks[0] = made.tracks[0].shift_pitch(12 * raised)
    return Cut(with_marks(made, [Mark(0, n_bars * 4 * TPQ, theme.LABEL)]), name, first_bar, n_bars, thinned, raised)


def _lead(score: symusic.Score, wanted: str) -> tuple[symusic.Track, str] | None:
    """The track of the melody and what it is called: the guitar, or where that rests the highest other one but the bass.

    Raises:
        UnknownName: There is no track `wanted` in a band.
    """
    if wanted and wanted not in TRACKS[1:]:
        raise UnknownName("track", wanted, TRACKS[1:])
    pitched = [(one, _family(one)) for one in score.tracks if not one.is_drum and len(one.notes)]
    if wanted:
        return next(((one, name) for one, name in pitched if name == wanted), None)
    high = sorted((pair for pair in pitched if pair[1] != "bass"), key=lambda pair: (pair[1] != LEAD, -_middle(pair[0])))
    for fewest in (ENOUGH, FEWEST):
        for one, name in high:
            if len(_line(one, score)) >= fewest:
                return one, name
    return None


def _line(track: symusic.Track, score: symusic.Score) -> NDArray[np.void]:
    """The top voice of a track of `score`."""
    return line(on_grid(edit.note_arrays(track), max(score.tpq, 1))).notes


def _family(track: symusic.Track) -> str:
    return family_of(int(track.program)) or track.name.lower()


def _middle(track: symusic.Track) -> float:
    return float(np.median(track.notes.numpy()["pitch"]))


def _part(track: symusic.Track, name: str, *, upper: bool) -> symusic.Track:
    """The notes of the track of a melody that can be of it, or the others: those more than `DEPTH` lower than most of its top voice.

    A guitar strikes low strings alone, too: they begin alone and would be in the top voice, and no melody leaps like that.
    """
    out = track.copy()
    notes = edit.note_arrays(track)
    limit = np.percentile(line(on_grid(notes, TPQ)).notes["pitch"], 75) - DEPTH
    chosen = (notes["pitch"] >= limit) == upper
    out.name, out.notes = name, edit.note_list({column: values[chosen] for column, values in notes.items()})
    return out
