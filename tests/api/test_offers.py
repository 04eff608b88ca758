"""What models can be asked for: complete, narrowed to each bundle, and true to what composing refuses."""

from __future__ import annotations

import json

import pytest

from kapelle import api
from kapelle.composing.request import Length
from kapelle.errors import CannotObey, UnknownName, UsageError
from kapelle.score.instruments import program_of

OFFERS = {one.name: one for one in api.offers()}


def test_every_model_that_composes_is_offered_and_no_other() -> None:
    assert {"genre-small", "ensemble", "remi-lstm", "chopin", "band-hybrid", "band-accompany", "theme", "bridge"} <= set(OFFERS)
    assert not {"genre-midi", "genre-judge", "theme-encoder", "gtzan", "band"} & set(OFFERS)
    assert next(iter(OFFERS)) == api.bundle().name


def test_models_that_ship_have_words_of_their_own_in_both_languages() -> None:
    for one in OFFERS.values():
        assert one.about["en"] and one.about["ru"]
        assert one.featured != one.name.startswith("band-tutorial-")


def test_choices_are_those_of_the_bundle() -> None:
    assert OFFERS["genre-small"].options["properties"]["genre"]["enum"] == ["", "pop", "jazz", "edm", "classical"]
    assert OFFERS["ensemble"].options["properties"]["genre"]["enum"] == ["", "pop", "rock", "jazz", "game"]
    assert "composer" not in OFFERS["chopin"].options["properties"]
    assert "track" not in OFFERS["band-hybrid"].options["properties"]
    assert OFFERS["band-accompany"].options["properties"]["track"]["enum"][1:] == ["drums", "piano", "guitar", "bass", "strings"]
    assert "band-accompany" not in OFFERS["bridge"].options["properties"]["from_band"]["enum"]


def test_verbs_and_lengths() -> None:
    assert OFFERS["genre-small"].verbs == ("compose", "extend")
    assert OFFERS["theme"].verbs == ("develop",)
    assert OFFERS["band-accompany"].verbs == ("accompany",)
    assert tuple(OFFERS["chopin"].lengths) == ("bars", "seconds", "tokens", "notes")
    assert tuple(OFFERS["bridge"].lengths) == ("bars", "seconds")
    assert OFFERS["band-accompany"].default_length is None


def test_sampling_has_the_defaults_of_the_bundle() -> None:
    assert OFFERS["theme"].sampling["properties"]["temperature"]["default"] == 1.2
    assert OFFERS["band-hybrid"].sampling is None


def test_suggested_instruments_exist() -> None:
    for name in OFFERS["genre-small"].options["properties"]["instruments"]["x-suggest"]:
        assert program_of(name) >= -1


@pytest.mark.parametrize("name", OFFERS)
def test_presets_can_be_asked_for_and_all_goes_to_json(name: str) -> None:
    one = OFFERS[name]
    for preset in one.presets:
        length = Length(**preset.body["length"]) if "length" in preset.body else None
        one.check(preset.body.get("options"), preset.body.get("sampling"), length)
        if "compose" in one.verbs:
            api.request(name, length=length, options=preset.body.get("options"), sampling=preset.body.get("sampling"))
    assert json.loads(json.dumps(one.as_dict(), allow_nan=False))["name"] == name


@pytest.mark.parametrize(
    ("name", "asked", "error", "words"),
    [
        ("genre-small", {"options": {"walk": 0.5}}, CannotObey, "genre-small has no option 'walk'"),
        ("genre-small", {"options": {"tempo": 1000}}, UsageError, "tempo must be 20 to 300, not 1000"),
        ("genre-small", {"options": {"genre": "game"}}, UnknownName, "unknown genre 'game'"),
        ("genre-small", {"options": {"key": "X major"}}, UnknownName, "unknown key 'X major'"),
        ("genre-small", {"options": {"genre": 7}}, UsageError, "must be str, not 7"),
        ("genre-small", {"sampling": {"temperature": 0}}, UsageError, "temperature must be"),
        ("band-hybrid", {"sampling": {"temperature": 1}}, CannotObey, "draws no tokens"),
        ("bridge", {"length": Length(100, "notes")}, CannotObey, "bridge counts no notes"),
        ("band-hybrid", {"options": {"track": "bass"}}, CannotObey, "no option 'track'"),
    ],
)
def test_what_a_model_cannot_be_asked_is_refused(name: str, asked: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        OFFERS[name].check(**asked)


def test_offers_are_found_by_name_alias_and_default() -> None:
    assert api.offer().name == api.bundle().name
    assert api.offer("band").name == "band-hybrid"
    with pytest.raises(UnknownName, match="unknown model 'genre-midi'"):
        api.offer("genre-midi")
