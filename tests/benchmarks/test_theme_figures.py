"""The benchmarks of themes on songs that were made for them and a model that writes nonsense."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import symusic

pytest.importorskip("onnx")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import _page_themes
import _themes
import theme_pieces
import theme_speed

import theme_bundles
from kapelle.data import theme_shards
from kapelle.data.split import PARTS
from kapelle.score.melody import melody_notes
from kapelle.tokens import theme as tokens

SPEC = tokens.ThemeSpec("paper", normalise_key=True)
SHAPE = {"vocabulary": 716, "n_positions": 512, "d_model": 32, "n_head": 2, "d_ff": 32, "n_encoder": 1, "n_decoder": 2, "exclusive": [0, 1]}
REGIONS = ((2, 4), (8, 10), (14, 16))
N_BARS = 20


def song(seed: int) -> symusic.Score:
    """Twenty bars; the same two bars of melody in every region, other notes outside."""
    draw = np.random.default_rng(seed)
    of_theme = draw.choice([60, 62, 64, 65, 67, 69, 71, 72], 8).tolist()
    notes = []
    for bar in range(N_BARS):
        inside = next((bar - first for first, end in REGIONS if first <= bar < end), None)
        for beat in range(4):
            pitch = of_theme[4 * inside + beat] if inside is not None else int(draw.integers(60, 84))
            notes.append(tokens.ThemeNote("MELODY", 16 * bar + 4 * beat, 4, pitch, 80))
            notes.append(tokens.ThemeNote("PIANO", 16 * bar + 4 * beat, 4, 48 + 4 * (bar % 2), 60))
    return tokens.to_score(notes, [(0, 101)])


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six songs, three of them for the test, two for validation."""
    where, made = tokens.layout_of(SPEC.mode), [tokens.encode(song(seed), SPEC, REGIONS, n_bars=N_BARS) for seed in range(6)]
    ids = np.concatenate([one.ids for one in made])
    stops = np.cumsum([len(one.ids) for one in made])
    rows = np.zeros(6, theme_shards.SONG)
    rows["start"], rows["stop"], rows["n_bars"] = np.concatenate([[0], stops[:-1]]), stops, N_BARS
    rows["part"] = [PARTS.index(part) for part in ("test", "test", "test", "validation", "validation", "train")]
    starts, ends = np.flatnonzero(ids == where.theme_start), np.flatnonzero(ids == where.theme_end)
    rows["theme_start"], rows["theme_stop"] = starts[::3], ends[::3] + 1
    windows = np.array([(place, row["start"], row["start"] + 200) for place, row in enumerate(rows)], theme_shards.WINDOW)
    info = {
        "mode": "paper", "vocabulary": 716, "pad": 0, "context_len": 512, "pitch_ids": [[1, 128], [128, 255]],
        "note_ids": [[1, 128], [128, 255]], "normalised_key": True, "theme_start": where.theme_start, "theme_end": where.theme_end,
        "bar": where.bar, "sources": [{"name": "made", "licence": "ours"}],
    }  # fmt: skip
    path = tmp_path_factory.mktemp("themes") / "shards"
    labels = np.concatenate([one.labels for one in made]).astype("<u2")
    theme_shards.write(path, info, {"ids": ids.astype("<u2"), "labels": labels, "songs": rows, "windows": windows})
    return path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(theme_bundles.build(tmp_path_factory.mktemp("bundles") / "nonsense", model=SHAPE))


@pytest.fixture(autouse=True)
def embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_themes, "embed", lambda: contour)


def contour(melodies: Sequence[np.ndarray]) -> np.ndarray:
    """Melodies by the pitch of each of 32 steps, silence 0, of length 1."""
    rows = np.zeros((len(melodies), 33), np.float32)
    rows[:, 32] = 1e-3
    for row, melody in zip(rows, melodies, strict=True):
        for start, duration, pitch, _ in melody.tolist():
            row[start : min(start + duration, 32)] = pitch - 66
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_songs_come_out_of_shards_with_their_themes(shards: Path) -> None:
    songs = _themes.songs(shards, "test")
    assert [(one.name, one.regions, one.n_bars) for one in songs] == [(str(i), REGIONS, N_BARS) for i in range(3)]
    theme = symusic.Score.from_midi(songs[0].theme())
    assert melody_notes(theme)["pitch"].tolist() == songs[0].condition[0]["pitch"].tolist()
    assert [round(tempo.qpm) for tempo in theme.tempos] == [101] and theme.end() == 8 * theme.ticks_per_quarter
    found = songs[0].parts()
    assert (len(found.marked), len(found.unmarked)) == (2, 7)
    assert _themes.cropped(songs[0], 10).regions == ((0, 2), (6, 8))


def test_real_songs_return_and_nonsense_does_not(shards: Path, bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("scipy")
    import theme_returns

    arguments = [str(shards), "--model", bundle, "--ablation", bundle, "--bars", "8", "--processes", "1"]
    arguments += ["--json", str(tmp_path / "r.json")]
    assert theme_returns.main(arguments) == 0
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    real = report["returns"]["real"]["notes"]
    assert real["marked"] == 0 < real["unmarked"] and real["nearer than unmarked"]["effect"] == 1
    assert real["given another theme"] > 0.1
    assert report["metrics"]["real"]["theme_gap"] == 4 and report["metrics"]["real"]["theme_inconsistency"] == 0
    assert set(report["returns"]) == {
        "real", "real, as long", "model", "model, network alone", "without gate", "without gate, network alone",
    }  # fmt: skip
    assert report["between"][""]["notes"]["marked"]["p"] == 1  # it is the same network
    assert report["hearing"]["model"]["pairs"] == 3 and report["hearing"]["model"]["own"] > 1
    assert report["hearing between"]["effect"] == 0
    assert "the theme returns, model, network alone, by notes: NO" in capsys.readouterr().out
    assert "## Does the theme return" in _page_themes.returns(report)


def test_a_test_of_pairs_says_who_is_nearer() -> None:
    pytest.importorskip("scipy")
    import theme_returns

    near, far = np.linspace(0.1, 0.4, 12), np.linspace(0.5, 0.9, 12)
    found = theme_returns.compared(np.append(near, np.nan), np.append(far, 1.0))
    assert (found["pairs"], found["nearer"], found["effect"]) == (12, 12, 1) and found["p"] < 0.001 and found["interval"][0] > 0.3
    assert theme_returns.compared(far, near)["effect"] == -1
    assert theme_returns.compared(near, near)["p"] == 1


def test_pieces_are_counted(shards: Path, bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mido")
    arguments = [str(shards), "--model", bundle, "--count", "4", "--processes", "1", "--json", str(tmp_path / "p.json")]
    assert theme_pieces.main(arguments) == 0
    report = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"))
    assert report["asked"] == report["different"] == 4
    for held in ("written", "exact", "ends", "tokens", "one voice", "mido", "theme"):
        assert report["held"][held] == 4, held
    assert report["by length"]["16"]["asked"] == 1 and report["long"] == report["long of 30 s"]
    assert "were not taken at the first try" in capsys.readouterr().out
    assert "## Pieces on themes" in _page_themes.pieces(report)


def test_what_fails_is_counted_and_does_not_end_the_count(shards: Path, bundle: str) -> None:
    music = _themes.songs(shards, "test")[0]
    row = theme_pieces.check(_themes.Wish(music.name, b"no MIDI", bundle, 16, 0))
    assert not any(row["held"].values()) and row["failures"][0].startswith("failed:")
    report = theme_pieces.counted([row])
    assert report["held"]["written"] == 0 and report["wrong"] == ["0 seed 0, 16 bars"]


def test_a_melody_that_was_touched_is_seen() -> None:
    score = song(0)
    assert theme_pieces._same_again(score, REGIONS, N_BARS) and theme_pieces._one_voice(score)
    score.tracks[0].notes[0].time += 7
    assert not theme_pieces._same_again(score, REGIONS, N_BARS)
    score.tracks[0].notes[0].duration += 960
    assert not theme_pieces._one_voice(score)


def test_developing_is_timed(bundle: str) -> None:
    found = theme_speed.developing(bundle, 1)
    assert found["develop_s"] > 0 and found["develop_tokens"] > 32 and found["attempts"] >= 1


def test_the_network_is_timed_against_torch(bundle: str) -> None:
    pytest.importorskip("torch")
    from kapelle.bundles import load

    held = load.load(bundle)
    rows = {
        side: [make(held, 12, 1)]
        for side, make in zip(theme_speed.SIDES, (theme_speed.ours, theme_speed.kept, theme_speed.anew), strict=True)
    }
    speeds = theme_speed._speeds(rows)
    assert speeds["kapelle"]["ratio"] == 1 and all(one["tokens_per_s"] > 0 for one in speeds.values())
    figures = dict.fromkeys(("develop_s", "develop_wall_s", "develop_tokens", "tokens_per_s", "notes_per_s", "load_s"), 1.0)
    report = {"bundle": "b", "bars": 32, "goal_s": 10.0, "rounds": 1, "pieces": 1, "tokens": 12, **figures, "network": {"1": speeds}}
    assert "torch, anew" in theme_speed.told(report) and "## Speed of developing" in _page_themes.speed(report)


def test_stages_stand_beside_their_loss(
    shards: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    import theme_stages
    import torch
    from safetensors.torch import save_file

    from kapelle import config
    from kapelle.models import theme

    run = tmp_path / "run"
    (run / "stages").mkdir(parents=True)
    (run / "checkpoints" / "step-00000300").mkdir(parents=True)
    shape = {key: value for key, value in SHAPE.items() if key != "vocabulary"}
    lines = [f"{key} = {value}" for key, value in shape.items()]
    text = ['name = "theme"', 'family = "theme"', 'codec = "theme"', 'objective = "theme"', 'licence = "ours"', "[model]", *lines]
    (run / "recipe.toml").write_text("\n".join(text) + "\n", encoding="utf-8")
    info = json.loads((shards / "shards.json").read_text(encoding="utf-8"))
    (run / "shards.json").write_text(json.dumps(info), encoding="utf-8")
    spec = {"codec": "theme", "spec": config.plain(SPEC), "tokens": list(tokens.vocabulary("paper").names)}
    (run / "tokenizer.json").write_text(json.dumps(spec), encoding="utf-8")
    losses = "\n".join(json.dumps({"step": step, "validation": loss}) for step, loss in ((100, 3.0), (200, 2.0), (300, 2.5)))
    (run / "log.jsonl").write_text(losses + "\n", encoding="utf-8")
    for seed, (name, step) in enumerate({"stages/step-00000100": 100, "weights": 200, "checkpoints/step-00000300/model": 300}.items()):
        torch.manual_seed(seed)
        network = theme.build(config.build(theme.Config, SHAPE, "model"))
        save_file(dict(network.state_dict()), run / f"{name}.safetensors", metadata={"step": str(step)})
    found = theme_stages.stages(run)
    assert [(stage.step, stage.names) for stage in found] == [(100, ("stage",)), (200, ("lowest loss",)), (300, ("last",))]

    arguments = [str(run), str(shards), "--songs", "1", "--bars", "8", "--processes", "1", "--json", str(tmp_path / "s.json")]
    assert theme_stages.main([*arguments, "--picture", str(tmp_path / "s.png")]) == 0
    report = json.loads((tmp_path / "s.json").read_text(encoding="utf-8"))
    assert [row["loss"] for row in report["stages"]] == [3.0, 2.0, 2.5]
    assert (tmp_path / "s.png").stat().st_size > 5000 and "Nearest to real music is step" in capsys.readouterr().out
    assert "## Is the lowest loss the best music" in _page_themes.stages(report)

    monkeypatch.setattr(theme_stages, "composed", lambda *given: pytest.fail("a stage was made again"))
    assert theme_stages.main(arguments) == 0
