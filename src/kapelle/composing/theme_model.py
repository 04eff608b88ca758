"""A bundle of codec ``theme``, opened for composing: the network that listens, its vocabulary, and what it recommends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from kapelle import config
from kapelle.bundles.load import Bundle
from kapelle.bundles.session import Translator
from kapelle.errors import BundleError, KapelleError
from kapelle.sampling.options import SamplingOptions
from kapelle.tokens import theme, vocabulary

TEMPERATURE, TOP_P = 1.2, 0.9
"""What the published system recommends, where a bundle says nothing."""


@dataclass(frozen=True)
class Model:
    """A bundle, opened.

    Args:
        session: Hears a theme and gives logits.
        words: The vocabulary.
        spec: What it was made for.
        sampling: What the bundle recommends.
        focus: How many times higher the temperature is inside the theme, by the same recommendation.
    """

    session: Translator
    words: vocabulary.Vocabulary
    spec: theme.ThemeSpec
    sampling: SamplingOptions
    focus: float


@dataclass(frozen=True)
class _Held:
    """Carries a bundle past the cache, which goes by its hash alone."""

    hash: str
    bundle: Bundle = field(compare=False)


@lru_cache(maxsize=2)
def _opened(held: _Held) -> Model:
    bundle = held.bundle
    options = bundle.manifest.options
    if "tokenizer.json" not in bundle.contents:
        raise BundleError("{name} has no tokenizer.json", name=bundle.path)
    words, rest = vocabulary.parse(bundle.contents["tokenizer.json"])
    spec = spec_of(rest)
    if words != theme.vocabulary(spec.mode) or len(words) != int(options.get("vocabulary", len(words))):
        raise BundleError("{name}: tokenizer and network differ in vocabulary", name=bundle.path)
    generation: dict[str, Any] = {"temperature": TEMPERATURE, "top_p": TOP_P} | dict(options.get("generation") or {})
    sampling = SamplingOptions(**generation)
    inside = float(options.get("theme_temperature") or sampling.temperature)
    return Model(Translator(bundle), words, spec, sampling, inside / sampling.temperature)


def opened(bundle: Bundle) -> Model:
    """The bundle's vocabulary, and a session of its network with a memory of its own; the last two networks are kept open.

    Raises:
        BundleError: It is no bundle of this codec, or damaged.
    """
    held = _opened(_Held(bundle.hash, bundle))
    return replace(held, session=held.session.another())


def spec_of(table: Mapping[str, Any]) -> theme.ThemeSpec:
    """The spec in what a tokenizer.json says beside its tokens.

    Raises:
        BundleError: It says none.
    """
    try:
        return config.build(theme.ThemeSpec, table.get("spec", {}), "tokenizer.json")
    except KapelleError as error:
        raise BundleError("the tokenizer says nothing of its theme vocabulary: {why}", why=error) from error
