"""The benchmarks of ways between themes and of joint training, on networks that know nothing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import bridge_joint  # noqa: E402
import theme_interpolation as interpolation  # noqa: E402

from fakes_bridge import recipe_in, write_data  # noqa: E402
from kapelle.data import theme_shards  # noqa: E402
from kapelle.models import theme, theme_variational  # noqa: E402
from kapelle.tokens import theme as tokens  # noqa: E402
from kapelle.training import trackers  # noqa: E402
from kapelle.training.fit import FitOptions, fit  # noqa: E402

WORDS = tokens.vocabulary("paper")
SHAPE: dict[str, Any] = {"n_positions": 512, "d_model": 16, "n_head": 2, "d_ff": 32, "n_encoder": 1, "n_decoder": 2, "exclusive": (0, 1)}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "draw_curves", lambda run: None)
    torch.set_num_threads(1)


def some_theme(pitch: int, n_notes: int = 4) -> np.ndarray:
    names = ["Theme_Start"]
    for _ in range(2):
        names.append("Bar_None")
        for step in range(n_notes):
            names += [f"Position_{4 * step}", f"Note-On-MELODY_{pitch + step}", "Note-Duration-MELODY_4", "Note-Velocity-MELODY_80"]
    return np.array([WORDS[name] for name in [*names, "Theme_End"]], np.int64)


def test_cells_are_what_sounds_and_their_distance_is_the_share_that_differs() -> None:
    one, other = interpolation.cells(some_theme(60), "paper"), interpolation.cells(some_theme(61), "paper")
    assert ("MELODY", 0, 60) in one and ("MELODY", 3, 60) in one and ("MELODY", 4, 61) in one and len(one) == 32
    assert interpolation.apart(one, one) == 0 and interpolation.apart(one, other) == 1
    assert interpolation.apart(one, {*one, *other}) == 0.5 and interpolation.apart(set(), set()) == 0


@pytest.mark.parametrize("variational", [False, True])
def test_a_way_begins_and_ends_with_what_is_heard_of_the_two_themes(variational: bool) -> None:
    torch.manual_seed(0)
    family: Any = theme_variational if variational else theme
    network = family.build(family.Config(vocabulary=len(WORDS), dropout=0.0, **SHAPE)).eval()
    one, other = some_theme(60), some_theme(64, 3)
    way = interpolation.way(network, one, other)
    assert len(way) == interpolation.PLACES
    for memory, heard in ((way[0], one), (way[-1], other)):
        assert torch.allclose(memory, network.encode(torch.from_numpy(heard)[None])[0], atol=1e-6)
    told = interpolation.bits(network, way[0], one)
    logits = network(torch.from_numpy(one[None, :-1]), torch.arange(1, len(one))[None], torch.from_numpy(one)[None])
    wanted = float(torch.nn.functional.cross_entropy(logits[0], torch.from_numpy(one[1:])).detach()) / np.log(2)
    assert told == pytest.approx(wanted, abs=1e-4)


def test_what_is_made_is_the_likeliest_id_at_every_place() -> None:
    torch.manual_seed(0)
    network = theme.build(theme.Config(vocabulary=len(WORDS), dropout=0.0, **SHAPE)).eval()
    memory = interpolation.way(network, some_theme(60), some_theme(62))[3]
    info = {"theme_start": WORDS["Theme_Start"], "theme_end": WORDS["Theme_End"], "bar": WORDS["Bar_None"], "pad": 0}
    ids = interpolation.made(network, memory, info)
    assert ids[:2] == [info["theme_start"], info["bar"]] and len(ids) <= interpolation.LONGEST
    logits = network.decode(torch.tensor([ids[:9]]), torch.arange(1, 10)[None], memory[None], None)[0, -1]
    logits[0] = -np.inf
    assert ids[9] == int(logits.argmax())


def test_two_networks_are_compared_on_their_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpolation, "LONGEST", 24)
    monkeypatch.setattr(interpolation, "PLACES", 3)
    songs = [some_theme(50 + number) for number in range(12)]
    starts = np.cumsum([0, *(2 * len(one) for one in songs)])[:-1]
    rows = [(a, a + 2 * len(one), a, a + len(one), 8, 2, n < 6, 0, 0, 0) for n, (a, one) in enumerate(zip(starts, songs, strict=True))]
    windows = [(n, a, a + 2 * len(one)) for n, (a, one) in enumerate(zip(starts, songs, strict=True))]
    pitches = [[1, 128], [128, 255]]
    info = {
        "mode": "paper", "vocabulary": len(WORDS), "pad": 0, "context_len": 128, "pitch_ids": pitches, "note_ids": pitches,
        "normalised_key": True, "theme_start": WORDS["Theme_Start"],
        "theme_end": WORDS["Theme_End"], "bar": WORDS["Bar_None"], "sources": [{}],
    }  # fmt: skip
    labels = np.concatenate([np.tile(np.append(np.arange(1, len(one)), 0), 2) for one in songs])
    arrays = {"songs": np.array(rows, theme_shards.SONG), "windows": np.array(windows, theme_shards.WINDOW)}
    theme_shards.write(
        tmp_path / "shards",
        info,
        {"ids": np.concatenate([np.tile(s, 2) for s in songs]).astype("<u2"), "labels": labels.astype("<u2"), **arrays},
    )
    (tmp_path / "shards/tokenizer.json").write_text(json.dumps({"tokens": list(WORDS.names)}))
    shape = "\n".join(f"{key} = {list(value) if isinstance(value, tuple) else value}" for key, value in SHAPE.items())
    for name in ("theme", "theme_variational"):
        head = f'name = "x"\nfamily = "{name}"\ncodec = "theme"\nobjective = "{name}"\n'
        text = head + f"[model]\n{shape}\n[training]\nsteps = 1\nbatch_size = 2\n"
        (tmp_path / f"{name}.toml").write_text(text)
        fit(tmp_path / f"{name}.toml", tmp_path / "shards", tmp_path / name, FitOptions(accelerator="cpu", trackers=()))
    found = tmp_path / "found.json"
    options = ["--plain", tmp_path / "theme", "--variational", tmp_path / "theme_variational", "--pairs", 1, "--json", found]
    assert interpolation.main([str(tmp_path / "shards"), *map(str, options)]) == 0
    report = json.loads(found.read_text())
    assert report["pairs"] == 1 and report["variational"]["held_out"]["kl_bits"] > 0 and "kl_bits" not in report["plain"]["held_out"]
    assert 0 <= report["plain"]["even_steps"] <= 1 and 1 <= report["plain"]["pieces"] <= interpolation.PLACES


def test_a_joint_run_stands_beside_where_it_began(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, path = write_data(tmp_path / "data"), recipe_in(tmp_path)
    fit(path, data, tmp_path / "before", FitOptions(accelerator="cpu", trackers=()))
    fit(path, data, tmp_path / "after", FitOptions(accelerator="cpu", trackers=(), start_from=tmp_path / "before"))
    found = tmp_path / "found.json"
    places = ["--before", tmp_path / "before", "--after", tmp_path / "after", "--themes", 6, "--json", found]
    assert bridge_joint.main(["compare", str(data), *map(str, places)]) == 0
    report = json.loads(found.read_text())
    assert report["before"]["own_return_bits"] == pytest.approx(report["before"]["made_return_bits"])
    assert report["after"]["made_opening_bits"] != report["before"]["made_opening_bits"] and report["held_out"]["made_tokens"] > 4
    assert set(report["gradients"]) == {"critic", "opening", "return"} and all(value > 0 for value in report["gradients"].values())
    assert "distance" in report["after"] and "before" in capsys.readouterr().out
