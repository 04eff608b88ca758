"""``kapelle models``: what is installed, with licence, size, data and figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kapelle.cli.flags import option

if TYPE_CHECKING:
    from kapelle.bundles.load import Installed
    from kapelle.cli.console import Console


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What can be asked."""

    recipes: bool = option(False, help="list the recipes from which models are trained instead")


def run(arguments: Arguments, console: Console) -> None:
    """Look and tell."""
    from kapelle import api

    if arguments.recipes:
        _show_recipes(api.recipes(), console)
        return
    found = api.models()
    if console.as_json:
        console.data({"models": [_table(item, console) for item in found]})
        return
    for item in found:
        table = _table(item, console)
        shown: dict[str, object] = {**table, "size": f"{table['bytes'] / 1e6:.1f} MB" if table["bytes"] else None}
        shown["figures"] = "\n".join(
            f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value:.4g}" for name, value in _best(table["figures"]).items()
        )
        shown["data"] = "\n".join(f"{source['name']}: {source['licence']}" for source in table["data"])
        console.line(item.name)
        console.facts({label: shown[label] for label in ("kind", "size", "licence", "data", "figures", "folder", "problem")})
    console.note(
        "`kapelle compose --model NAME` composes with one of them"
        if found
        else "no models are installed; `kapelle doctor` tells where they belong"
    )


def _table(item: Installed, console: Console) -> dict[str, Any]:
    held = item.manifest
    return {
        "name": item.name,
        "folder": str(item.path),
        "kind": held and held.kind,
        "bytes": held and held.n_bytes,
        "licence": held and held.licence,
        "data": [{"name": source["name"], "licence": source["licence"]} for source in (held.provenance.data if held else ())],
        "figures": dict(held.provenance.figures) if held else {},
        "problem": console.texts.error(item.problem) if item.problem else None,
    }


def _best(figures: Mapping[str, Any]) -> dict[str, float]:
    """The figures that say how good and how large a model is; the others are for its card."""
    numbers = {**figures.get("best", {}), "parameters": figures.get("parameters")}
    return {name: value for name, value in numbers.items() if isinstance(value, int | float) and name != "step" and "/" not in name}


def _show_recipes(recipes: Mapping[str, Any], console: Console) -> None:
    if console.as_json:
        console.data({"recipes": [{"name": name, "file": path} for name, path in recipes.items()]})
        return
    console.table(("recipe", "file"), list(recipes.items()))
