"""Dataclasses become options: names, types, defaults, groups and settings of models."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kapelle.cli.flags import argument, build, flags_of, generated, group, option
from kapelle.config import setting
from kapelle.errors import UsageError


@dataclass(frozen=True)
class ModelSettings:
    swing: float = setting(0.5, help="how much it swings", ru="сколько свинга", unit="share", min=0, max=1)
    hands: int = setting(2, help="how many hands play", min=1, max=4)


@dataclass(frozen=True)
class OtherSettings:
    swing: float = setting(0.1, help="another help", min=0, max=1)
    choir: bool = setting(False, help="add a choir")


@dataclass(frozen=True, kw_only=True)
class Lengths:
    bars: int | None = option(None, help="bars", min=1, max=8)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    source: Path = argument(help="a file", metavar="IN")
    more: tuple[str, ...] = argument((), help="more", metavar="MORE")
    output: Path | None = option(None, help="where to", short="-o")
    kind: str = option("a", help="which", choices=("a", "b"))
    tags: tuple[str, ...] = option(("x",), help="tags")
    loud: bool = option(False, help="loudly")
    from_: str = option("", help="from where")
    length: Lengths = group(Lengths, "Length")
    settings: dict[str, Any] = generated(lambda: [ModelSettings, OtherSettings], "Model")


def test_flags_come_in_the_order_of_the_fields_and_of_two_settings_the_first_counts():
    flags = {flag.label: flag for flag in flags_of(Arguments)}
    assert list(flags) == ["IN", "MORE", "--output", "--kind", "--tags", "--loud", "--from", "--bars", "--swing", "--hands", "--choir"]
    assert flags["--swing"].meta["help"] == "how much it swings"
    assert flags["--swing"].section == "Model"
    assert flags["--bars"].section == "Length"
    assert flags["IN"].required
    assert not flags["--output"].required


def test_what_was_not_given_has_its_default_or_is_left_to_the_model():
    made = build(Arguments, {"source": "x.mid", "loud": False, "tags": None, "more": []})
    assert made == Arguments(source=Path("x.mid"), length=Lengths(), settings={})
    assert made.tags == ("x",)


def test_texts_become_what_the_fields_are():
    given = {"source": "x", "more": ["a=1", "b"], "output": "y", "tags": ["p", "q"], "loud": True, "from_": "z", "bars": "4"}
    made = build(Arguments, given | {"swing": "0.25", "hands": "3", "choir": True})
    assert made.more == ("a=1", "b")
    assert (made.output, made.tags, made.loud, made.from_, made.length.bars) == (Path("y"), ("p", "q"), True, "z", 4)
    assert made.settings == {"swing": 0.25, "hands": 3, "choir": True}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "IN is missing: a file"),
        ({"source": "x", "kind": "c"}, "--kind must be one of a, b, not 'c'"),
        ({"source": "x", "bars": "9"}, "bars must be 1 to 8, not 9"),
        ({"source": "x", "bars": "4.0"}, "--bars needs a whole number, not '4.0'"),
        ({"source": "x", "swing": "a lot"}, "--swing needs a number, not 'a lot'"),
        ({"source": "x", "swing": "nan"}, "--swing needs a number, not 'nan'"),
    ],
)
def test_what_does_not_fit_is_a_usage_error(given, message):
    with pytest.raises(UsageError) as caught:
        build(Arguments, given)
    assert str(caught.value) == message


def test_a_field_that_no_text_can_fill_is_a_mistake_of_ours():
    @dataclass
    class Wrong:
        table: dict[str, int] = field(default_factory=dict)

    with pytest.raises(TypeError, match="table"):
        flags_of(Wrong)


def test_the_choice_that_leaving_out_makes_is_not_named(run):
    assert "--embedding judge|features" in run("evaluate", "--help").out.replace("\n", " ")
    answer = run("evaluate", "x", "-r", "y", "--embedding", "beauty")
    assert answer.code == 2
    assert "must be one of judge, features, not" in answer.err
