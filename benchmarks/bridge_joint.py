"""What training a band and the Theme Transformer together brings, and what it costs either.

    python benchmarks/bridge_joint.py join --band RUN --theme RUN -o FOLDER
    python benchmarks/bridge_joint.py compare DATA --before FOLDER --after RUN [--alone RUN] [--json PATH]
    python benchmarks/bridge_joint.py part RUN --band RUN --theme RUN -o FOLDER

`join` writes the weights of two runs as one, for ``kapelle train bridge-joint -d DATA --from FOLDER``. DATA holds phrases of a band, and
the songs of the transformer in its folder themes. `part` writes what either side has become, to be exported as ever.

`compare` sets the joint run beside where it began, and beside a run of as many steps in which nobody listened (the same recipe with
training.bridge.opening=0 training.bridge.back=0 training.bridge.welcome=0). All generators make phrases of the same latents. One judge
hears all of their openings: the transformer as it was before, in bits per token, as an opening and where it returns. Lower is what the
generator was trained for, so the band's five metrics and the variety stand beside it; for the transformer, its songs.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import torch

from kapelle import models
from kapelle.training import bridge_joint, objectives, run_folder
from kapelle.training import recipe as recipes

SHOWN = ("distance", "variety", "songs_bits_per_token", "songs_theme_bits_per_token", "songs_theme_gain")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    verbs = parser.add_subparsers(dest="verb", required=True)
    joining, comparing, parting = (verbs.add_parser(name) for name in ("join", "compare", "part"))
    parting.add_argument("joint", type=Path)
    for verb in (joining, parting):
        verb.add_argument("--band", type=Path, required=True)
        verb.add_argument("--theme", type=Path, required=True)
        verb.add_argument("-o", "--out", type=Path, required=True)
    comparing.add_argument("data", type=Path)
    comparing.add_argument("--before", type=Path, required=True)
    comparing.add_argument("--after", type=Path, required=True)
    comparing.add_argument("--alone", type=Path)
    comparing.add_argument("--themes", type=int, default=128, help="openings that are judged")
    comparing.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    if options.verb == "join":
        print(bridge_joint.join(options.band, options.theme, options.out))
    elif options.verb == "part":
        print(*bridge_joint.part(options.joint, options.band, options.theme, options.out), sep="\n")
    else:
        runs = {"before": options.before, "alone": options.alone, "after": options.after}
        report = compared(options.data, {name: run for name, run in runs.items() if run}, options.themes)
        if options.json:
            options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        print(told(report))
    return 0


def compared(data: Path, runs: dict[str, Path], n_themes: int) -> dict[str, Any]:
    """The figures of every run, with the judge of the first."""
    recipe = recipes.read_again(runs["after"] / "recipe.toml")
    family = models.family(recipe.family)
    objective = bridge_joint.make(data, recipe, family)
    network: Any = family.build(objective.band.config)
    judge: dict[str, torch.Tensor] = {}
    report: dict[str, Any] = {"themes": n_themes, "steps": run_folder.weights_step(runs["after"]), "recipe": recipe.name}
    for name, run in runs.items():
        run_folder.begin_with(network, run)
        network.eval()
        turn = objectives.Turn(network, torch.device("cpu"), 0, 0, 1, lambda loss: None, lambda name: 0.0, lambda: None)
        figures = objective.validate(turn)
        if not judge:
            report["gradients"] = gradients(objective, network)
        judge = judge or {key: value.clone() for key, value in network.transformer.state_dict().items()}
        made = objective.band.made(network.averaged, n_themes, turn.device)
        with torch.no_grad():
            own = objective.judged(turn, made, "own")
            network.transformer.load_state_dict(judge)
            said = objective.judged(turn, made, "made")
        report[name] = {**said, "own_return_bits": own["own_return_bits"], **{key: figures[key] for key in SHOWN if key in figures}}
    held_out = objective.band._reference_places[:n_themes]
    with torch.no_grad():
        report["held_out"] = objective.judged(turn, objective.band.phrases.cells(held_out), "made")
    return report


def gradients(objective: bridge_joint.BridgeJoint, network: Any) -> dict[str, float]:
    """How long the gradient of the critic's loss, of an opening and of its return is at the generator's weights, unweighted."""
    latents = objective.band.latents(objective.band.settings.batch_size, torch.Generator().manual_seed(0), torch.device("cpu"))
    made = network.train().generator(latents)
    told = bridge_joint.losses(network.eval().transformer, objective.band.theme(made[: objective.bridge.judged]), objective.band.places)
    weights = list(network.generator.parameters())
    out = {}
    for name, loss in (("critic", -network.critic(made).mean()), ("opening", told[0].mean()), ("return", told[1].mean())):
        found = torch.autograd.grad(loss, weights, retain_graph=True)
        out[name] = float(torch.stack([part.norm() for part in found]).norm())
    return out


def told(report: dict[str, Any]) -> str:
    sides = [name for name in ("before", "alone", "after", "held_out") if name in report]
    lines = [f"{'':28}" + "".join(f"{side:>12}" for side in sides)]
    for key in report["after"]:
        cells = [f"{report[side][key]:.3f}" if key in report[side] else "–" for side in sides]
        lines.append(f"{key:28}" + "".join(f"{cell:>12}" for cell in cells))
    lengths = ", ".join(f"{name} {value:.2f}" for name, value in report["gradients"].items())
    return "\n".join([*lines, f"gradients at the generator's weights: {lengths}"])


if __name__ == "__main__":
    sys.exit(main())
