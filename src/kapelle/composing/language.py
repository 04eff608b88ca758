"""A bundle that speaks REMI, opened for composing: its session, vocabulary and genres, and what can be asked of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache

from kapelle.bundles.load import Bundle
from kapelle.bundles.session import Decoder
from kapelle.config import setting
from kapelle.errors import BundleError
from kapelle.sampling.options import SamplingOptions
from kapelle.tokens import remi, vocabulary


@dataclass(frozen=True)
class Options:
    """What can be asked of a REMI language model."""

    genre: str = setting("", help="genre; left out, the seed chooses", ru="жанр; без него выберет зерно")
    key: str = setting("", help="key, such as C, Am or 'F# minor'", ru="тональность: C, Am или 'F# minor'")
    tempo: float | None = setting(None, help="tempo", ru="темп", unit="bpm", min=20, max=300, step=1)
    metre: str = setting("", help="metre, such as 4/4 or 3/4", ru="размер: 4/4 или 3/4")
    instruments: str = setting(
        "", help="instruments, highest first, such as piano or flute,piano,bass", ru="инструменты сверху вниз: piano или flute,piano,bass"
    )


@dataclass(frozen=True)
class Model:
    """A bundle, opened for composing."""

    session: Decoder
    words: vocabulary.Vocabulary
    spec: remi.RemiSpec
    genres: tuple[str, ...]
    sampling: SamplingOptions
    families: int = 0
    """The most instrument families it plays at once, each as one program (`kapelle.score.families`); 0: programs as they are."""


@lru_cache(maxsize=4)
def _opened(bundle_hash: str, holder: _Holder) -> Model:
    bundle = holder.bundle
    if "tokenizer.json" not in bundle.contents:
        raise BundleError("{name} has no tokenizer.json", name=bundle.path)
    words, rest = vocabulary.parse(bundle.contents["tokenizer.json"])
    spec = remi.spec_of(rest)
    if len(words) != int(bundle.manifest.options.get("vocabulary", len(words))):
        raise BundleError("{name}: tokenizer and network differ in vocabulary", name=bundle.path)
    generation = bundle.manifest.options.get("generation") or {}
    # a model that was trained on from another has tokens of genres that it no longer composes
    genres = tuple(name for name in bundle.manifest.options.get("genres") or spec.genres if name in spec.genres)
    families = int(bundle.manifest.options.get("families") or 0)
    return Model(Decoder(bundle), words, spec, genres, SamplingOptions(**generation), families)


@dataclass(frozen=True)
class _Holder:
    """Carries a bundle past the cache, which goes by its hash alone."""

    bundle: Bundle = field(compare=False)


def opened(bundle: Bundle) -> Model:
    """The bundle's vocabulary, and a session of its network with a memory of its own; the last few networks are kept open."""
    held = _opened(bundle.hash, _Holder(bundle))
    return replace(held, session=held.session.another())
