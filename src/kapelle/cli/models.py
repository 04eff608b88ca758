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
    found, texts = api.models(), console.texts
    if console.as_json:
        console.data({"models": [_table(item, console) for item in found]})
        return
    for item in found:
        table = _table(item, console)
        console.line(item.name)
        shown = table | {"size": f"{table['bytes'] / 1e6:.1f} MB" if table["bytes"] else None}
        shown["figures"] = "\n".join(f"{name}: {value:,.4g}" for name, value in _flat(table["figures"]).items())
        shown["data"] = "\n".join(f"{source['name']}: {source['licence']}" for source in table["data"])
        console.facts({label: shown[label] for label in ("kind", "size", "licence", "data", "figures", "folder", "problem")})
    if not found:
        console.note("no models are installed; `kapelle doctor` tells where they belong")
    else:
        console.note(texts("`kapelle compose --model NAME` composes with one of them"))


def _table(item: Installed, console: Console) -> dict[str, Any]:
    manifest = item.manifest
    problem = console.texts.error(item.problem) if item.problem else None
    if manifest is None:
        return {
            "name": item.name,
            "folder": str(item.path),
            "kind": None,
            "bytes": None,
            "licence": None,
            "data": [],
            "figures": {},
            "problem": problem,
        }
    return {
        "name": item.name,
        "folder": str(item.path),
        "kind": manifest.kind,
        "bytes": manifest.n_bytes,
        "licence": manifest.licence,
        "data": [{"name": source["name"], "licence": source["licence"]} for source in manifest.provenance.data],
        "figures": dict(manifest.provenance.figures),
        "problem": problem,
    }


def _flat(figures: Mapping[str, Any], before: str = "") -> dict[str, float]:
    """The numbers among nested figures, by a name with points."""
    out: dict[str, float] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            out |= _flat(value, f"{before}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            out[before + name] = value
    return out


def _show_recipes(recipes: Mapping[str, Any], console: Console) -> None:
    if console.as_json:
        console.data({"recipes": [{"name": name, "file": path} for name, path in recipes.items()]})
        return
    console.table(("recipe", "file"), list(recipes.items()))
