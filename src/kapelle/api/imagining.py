"""Imagining: a sentence becomes sound, by a published text-to-audio model.

Takes a prompt, or a `SoundRequest` with all that can be asked; gives sounds, each with what made it. Whatever can be refused is refused
before anything is fetched or loaded. Files are the business of `sound_files`, pages of `sound_gallery`; what becomes of a piece of notes,
a prompt or a sound to follow, is here too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.errors import KapelleError, Missing, UsageError
from kapelle.progress import Report, never, quiet
from kapelle.score.folders import MIDI_SUFFIXES
from kapelle.text_audio import catalogue
from kapelle.text_audio.backend import Backend
from kapelle.text_audio.catalogue import SMALLEST, SoundModel
from kapelle.text_audio.request import SoundRequest, check_fits

if TYPE_CHECKING:
    from symusic import Score

    from kapelle.audio.waveform import Waveform
    from kapelle.text_audio.selftest import SelfTest

SURE = 0.5
"""A genre is told in a prompt if its classifier gives it so much, of eight."""


def _logged(notice: str) -> None:
    logging.getLogger("kapelle").warning(notice)


@dataclass(frozen=True, kw_only=True)
class SoundWay:
    """Where a model comes from, and where it runs.

    Args:
        weights: Folder of its weights, or one that holds such folders by the names of models; None: what was fetched before, else the hub.
        device: "auto", "cpu", "cuda", "mps".
        dtype: "auto", "float32", "float16", "bfloat16".
        offline: Fetch nothing.
        commercial: Refuse a model whose licence forbids use for money.
        notice: Told the licence, before the first download.
        fetching: Called with (bytes fetched, bytes in all).
    """

    weights: str | Path | None = None
    device: str = "auto"
    dtype: str = "auto"
    offline: bool = False
    commercial: bool = False
    notice: Callable[[str], None] = _logged
    fetching: Report = quiet


@dataclass(frozen=True)
class Imagined:
    """A sound and what made it.

    Args:
        wave: As the model gave it.
        request: What was asked for, of this one: its count is 1 and its seed its own.
        model: Which model.
        weights: Fingerprint of its weights: the same model and weights give the same sound on the same machine.
    """

    wave: Waveform
    request: SoundRequest
    model: SoundModel
    weights: str

    @property
    def seed(self) -> int:
        """By which it was drawn."""
        return self.request.seed

    @property
    def licence(self) -> catalogue.Licence:
        """Of the weights."""
        return self.model.licence


@dataclass(frozen=True)
class Opened:
    """A model that is ready to make sound.

    Args:
        backend: It.
        folder: Of its weights.
        weights: Their fingerprint.
    """

    backend: Backend
    folder: Path
    weights: str


def imagine(
    request: SoundRequest | str,
    model: str = SMALLEST,
    way: SoundWay | None = None,
    *,
    progress: Report = quiet,
    cancelled: Callable[[], bool] = never,
) -> Iterator[Imagined]:
    """The sounds of a request, each as soon as it is ready.

    Args:
        request: What is asked; a text alone is a prompt, with everything else as it is by default.
        model: Name, of `sound_models`.
        way: Where it comes from, and where it runs.
        progress: Called with (tokens or steps done, in all).
        cancelled: Asked between tokens or steps.

    Raises:
        UnknownName: There is no such model.
        UsageError, CannotObey: What is asked is out of range, or beyond the model, or the licence forbids it.
        Missing: The extra ``audio`` is not installed, or the weights are not there and may not be fetched.
        NetworkError: They could not be fetched.
        UnreadableInput: They are damaged.
        NotEnoughMemory: It does not fit.
        Interrupted: `cancelled` said so.
    """
    way = way or SoundWay()
    wish = SoundRequest(prompt=request) if isinstance(request, str) else request
    chosen = checked_model(model, wish, way)
    return _sounds(chosen, wish, way, progress, cancelled)


def _sounds(model: SoundModel, wish: SoundRequest, way: SoundWay, progress: Report, cancelled: Callable[[], bool]) -> Iterator[Imagined]:
    held = open_sound_model(model, way)
    for number, wave in enumerate(held.backend.imagine(wish, progress=progress, cancelled=cancelled)):
        yield Imagined(wave, replace(wish, seed=wish.seed + number, count=1), model, held.weights)


def checked_model(name: str, wish: SoundRequest, way: SoundWay) -> SoundModel:
    """The model of a name, which can do what is asked, may do it, and can be had; nothing is fetched or loaded.

    Raises:
        UnknownName, UsageError, CannotObey, Missing: As `imagine`.
    """
    from kapelle.text_audio import opening, weights

    model = catalogue.find(name)
    check_fits(wish, model)
    if way.commercial:
        catalogue.check_commercial(model)
    opening.check_extra()
    weights.find(model, _given(model, way), offline=way.offline)
    return model


def open_sound_model(model: SoundModel, way: SoundWay) -> Opened:
    """A model with its weights loaded; they are fetched, and their licence told, if they are nowhere on this machine.

    Raises:
        Missing, NetworkError, UnreadableInput, NotEnoughMemory: As `imagine`.
    """
    from kapelle.text_audio import opening, places, weights

    folder = weights.find(model, _given(model, way), offline=way.offline)
    if folder is None:
        places.choose(model, device=way.device, dtype=way.dtype)  # before gigabytes come that would not fit
        way.notice(catalogue.notice(model))
    if folder is None or way.weights is None:  # what was fetched before is compared, which is quick
        folder = weights.fetch(model, progress=way.fetching, offline=way.offline)
    return Opened(opening.open_model(model, folder, device=way.device, dtype=way.dtype), folder, weights.fingerprint(folder))


def fetch_notice(model: SoundModel, way: SoundWay) -> str:
    """What is to be known before the weights of a model are fetched; empty where they need not be, or cannot.

    Raises:
        KapelleError: As `checked_model`, or the model would not fit: nobody is to read the terms of what will not be had.
    """
    from kapelle.text_audio import hub, opening, places, weights

    if weights.find(model, _given(model, way), offline=way.offline or hub.is_offline()) is not None or model.by_hand:
        return ""
    opening.check_extra()
    places.choose(model, device=way.device, dtype=way.dtype)
    return catalogue.notice(model)


def _given(model: SoundModel, way: SoundWay) -> Path | None:
    """The folder of weights that is named: one that holds a folder for each model means the one of this model.

    Raises:
        Missing: It holds folders of other models alone.
    """
    if way.weights is None:
        return None
    folder = Path(way.weights)
    others = [one.name for one in catalogue.MODELS if (folder / one.name).is_dir()]
    if others and model.name not in others:
        raise Missing(
            "{folder} holds no weights of {model}", folder=folder, model=model.name, others=", ".join(others),
            hint="it holds folders for: {others}",
        )  # fmt: skip
    return folder / model.name if others else folder


def self_test(model: str = SMALLEST, way: SoundWay | None = None, *, progress: Report = quiet) -> SelfTest:
    """What a published model does on this machine: length, level, seed. The tests of Kapelle cannot know, since they may fetch nothing.

    Args:
        model: Name, of `sound_models`; the smallest if left out.
        way: Where it comes from, and where it runs.
        progress: Called with (tokens or steps done, in all).

    Raises:
        KapelleError: As `imagine`.
    """
    from kapelle.text_audio import opening, selftest

    opening.check_extra()
    way = way or SoundWay()
    held = open_sound_model(catalogue.find(model), way)
    return selftest.self_test(held.backend, held.folder, given=way.weights is not None, progress=progress)


def sound_models() -> list[dict[str, Any]]:
    """The text-to-audio models as tables: ``name``, ``about``, ``sample_rate``, ``channels``, ``longest_s``, ``takes``, ``licence`` ...

    ``fetched`` is the folder of the weights on this machine, None where they are not here. It needs no extra and asks nobody.
    """
    from kapelle.text_audio import places, weights

    rows = []
    for model in catalogue.MODELS:
        folder = weights.find(model)
        rows.append(
            {
                "name": model.name, "family": model.family, "about": model.about, "parameters": model.n_parameters,
                "memory": places.needed(model, "float32"),
                "sample_rate": model.sample_rate, "channels": model.channels, "window_s": model.window_s, "longest_s": model.longest_s,
                "takes": sorted(model.takes), "guidance": model.guidance, "steps": model.steps or None, "gated": model.gated,
                "licence": model.licence.name, "licence_url": model.licence.url, "commercial": model.licence.commercial,
                "repo": model.repo, "revision": model.revision, "fetched": folder and str(folder),
            }
        )  # fmt: skip
    return rows


def prompt_of(piece: str | Path | bytes) -> str:
    """An English sentence that says what a MIDI file is: speed, genre, key, tempo and instruments, as far as they are clear.

    Args:
        piece: The file, or its bytes.

    Raises:
        MidiError: It is no MIDI file, or has no notes.
    """
    from kapelle.score.read import read
    from kapelle.text_audio.describing import facts_of, sentence

    score = read(piece)
    facts = facts_of(score)
    return sentence(replace(facts, genre=_genre(score)))


def _genre(score: Score) -> str:
    """The genre, if a classifier is installed and sure of it."""
    from kapelle.api.classification import DEFAULTS
    from kapelle.classifiers.opening import opened

    try:
        classifier: Any = opened(DEFAULTS["midi"])
        verdict = classifier.classify(score)
    except KapelleError:  # there is none, or a piece that it cannot judge: the sentence does without
        return ""
    return str(verdict.label) if verdict.confidence >= SURE and not verdict.warnings else ""


def sound_of(source: str | Path, *, melody: bool = False, longest_s: float | None = None) -> Waveform:
    """The sound in a file; a MIDI file is played with the SoundFont.

    Args:
        source: A sound file, or a MIDI file.
        melody: Of a MIDI file, play the melody alone: its track where one is found, else all that is no drum.
        longest_s: Seconds from which on nothing is needed; None for all.

    Raises:
        Missing: There is no such file.
        UnreadableInput: It is neither.
        UsageError: There is nothing in it to play.
    """
    from kapelle.audio import files
    from kapelle.audio.waveform import Waveform

    path = Path(source)
    is_midi = path.suffix.lower() in MIDI_SUFFIXES
    wave = _played(path, melody=melody, longest_s=longest_s) if is_midi else files.read(path)
    return wave if longest_s is None else Waveform(wave.samples[: round(longest_s * wave.sample_rate)], wave.sample_rate)


def _played(path: Path, *, melody: bool, longest_s: float | None) -> Waveform:
    from kapelle.render import render
    from kapelle.score import edit, units
    from kapelle.score.read import read

    score = _melody_of(read(path), path) if melody else read(path)
    if not any(len(track.notes) for track in score.tracks):
        raise UsageError("{path} has no notes to play", path=path)
    if longest_s is not None and units.duration_s(score) > longest_s:
        score = edit.clip_to(score, int(units.seconds_to_ticks(score, longest_s)))
    return render(score)


def _melody_of(score: Score, path: Path) -> Score:
    """Its melody's track alone, else its pitched tracks; the rest stays, silent.

    Raises:
        UsageError: It has no pitched notes.
    """
    from kapelle.score.melody_track import find_melody

    pitched = [place for place, track in enumerate(score.tracks) if not track.is_drum and len(track.notes)]
    if not pitched:
        raise UsageError("{path} has no pitched notes: a melody needs some", path=path)
    found = find_melody(score)
    kept = pitched if found is None else [found]
    out = score.copy()
    for place in reversed(range(len(out.tracks))):
        if place not in kept:
            del out.tracks[place]
    return out
