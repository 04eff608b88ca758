"""What classifiers say of files: the genre of MIDI and of sound, and whether a piece was made by a person or a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kapelle.errors import KapelleError, Missing, UnreadableInput, UsageError
from kapelle.progress import Report, quiet
from kapelle.score.folders import MIDI_SUFFIXES, files_in

if TYPE_CHECKING:
    from kapelle.classifiers.verdict import Verdict


DEFAULTS = {"midi": "genre-midi", "audio": "genre-audio"}
"""Who is asked if nobody is named: of MIDI files, of sounds."""


@dataclass(frozen=True)
class Classified:
    """A file and what was said of it, or why nothing was.

    Args:
        path: The file.
        verdict: None where there is an error.
        error: None where there is a verdict.
    """

    path: Path
    verdict: Verdict | None = None
    error: KapelleError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Itself for JSON: the file, and the verdict's entries or ``error``."""
        told = self.verdict.as_dict() if self.verdict else {"error": str(self.error), "hint": self.error.hint if self.error else ""}
        return {"file": str(self.path), **told}


def classify(paths: str | Path | Iterable[str | Path], model: str = "", *, progress: Report = quiet) -> list[dict[str, Any]]:
    """What a classifier says of each file, as tables: ``file``, ``label``, ``confidence``, ``probabilities`` ...; ``error`` of a bad file.

    Args:
        paths: MIDI files and sounds, or folders of them.
        model: Name or folder of the classifier; the default of MIDI files and that of sounds if left out.
        progress: Called with (files done, files in all).

    Raises:
        UnreadableInput: Not one of several files could be classified.
        KapelleError: The only file could not be, for this reason; or there is no such classifier.
        UsageError: There are no files.
    """
    return [one.as_dict() for one in classify_files(paths, model, progress=progress)]


def classify_files(paths: str | Path | Iterable[str | Path], model: str = "", *, progress: Report = quiet) -> list[Classified]:
    """The same as objects; see `classify`."""
    from kapelle.classifiers.opening import opened

    files = files_of([paths] if isinstance(paths, str | Path) else list(paths))
    if model:
        opened(model)  # a missing or damaged classifier is no fault of the files
    found = []
    for done, path in enumerate(files):
        progress(done, len(files))
        found.append(_classified(path, model))
    progress(len(files), len(files))
    bad = [one.error for one in found if one.error]
    if len(bad) == len(found):
        if len(bad) == 1:
            raise bad[0]
        hint = "the first: {path}: {why}"
        raise UnreadableInput("none of {n} files could be classified", n=len(bad), path=found[0].path, why=bad[0], hint=hint)
    return found


def files_of(paths: Sequence[str | Path]) -> list[Path]:
    """The files that are named, and those of folders by their names, each once.

    Raises:
        UsageError: There are none.
    """
    from kapelle.audio.files import SUFFIXES

    found: dict[Path, None] = {}
    for path in map(Path, paths):
        found |= dict.fromkeys(files_in(path, (*MIDI_SUFFIXES, *SUFFIXES)))
    if not found:
        where = ", ".join(map(str, paths)) or "nothing"
        raise UsageError("{path} holds neither MIDI files nor sounds", path=where, hint="name files or folders that are there")
    return list(found)


def _classified(path: Path, model: str) -> Classified:
    try:
        return Classified(path, verdict=_verdict(path, model))
    except (UnreadableInput, UsageError, Missing) as error:
        return Classified(path, error=error)


def _verdict(path: Path, model: str) -> Verdict:
    """What the classifier `model`, or the default of the kind of file, says of a file."""
    from kapelle.audio.files import SUFFIXES
    from kapelle.classifiers.opening import hears_scores, opened

    sound = path.suffix.lower() in SUFFIXES
    classifier: Any = opened(model or DEFAULTS["audio" if sound else "midi"])
    if hears_scores(classifier.bundle):
        if sound:
            hint = "{default} does"
            name, default = classifier.bundle.name, DEFAULTS["audio"]
            raise UsageError("{path} is a sound, which {name} does not hear", path=path, name=name, default=default, hint=hint)
        from kapelle.score.read import read

        made: Verdict = classifier.classify(read(path))
        return made
    if sound:
        heard: Verdict = classifier.classify_file(path)
        return heard
    from kapelle.render import render
    from kapelle.score.read import read

    rendered: Verdict = classifier.classify(render(read(path)))
    return rendered
