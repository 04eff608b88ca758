"""The diagrams of the documentation: the kit finds its mistakes, every picture is drawn and shown, and says what its page computes."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import _diagram  # noqa: E402
import _diagrams_diffusion  # noqa: E402
import _diagrams_plots  # noqa: E402
import diagrams  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable

EVERY = diagrams.diagrams()


def two_boxes() -> tuple[_diagram.Diagram, _diagram.Box, _diagram.Box]:
    picture = _diagram.Diagram(160)
    return picture, picture.box((20, 40, 120, 50), "words", kind="data"), picture.box((300, 40, 120, 50), "net", note="1 M", kind="trained")


def test_a_good_picture_has_no_faults_and_is_written_the_same_again(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("one.png", "two.png"):
        picture, words, net = two_boxes()
        picture.arrow(words.right, net.left, label="8 wide")
        picture.group([net], "a group")
        picture.cells((500, 40), [["1", "2", ""], ["", "1", "2"]], colours={"1": 0})
        picture.save(tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert Image.open(tmp_path / "one.png").size == (1800, 2 * (160 + _diagram.LEGEND))


@pytest.mark.parametrize(
    ("fault", "draw"),
    [
        ("leaves its box", lambda it, a, b: it.box((500, 40, 60, 50), "much too long a text")),
        ("leaves its box", lambda it, a, b: it.box((500, 40, 160, 20), "two\nlines")),
        ("leaves the picture", lambda it, a, b: it.note((890, 20), "beyond the edge")),
        ("overlaps", lambda it, a, b: it.box((100, 60, 80, 60), "over")),
        ("lies on", lambda it, a, b: it.note((80, 65), "on a box")),
        ("crosses 'net'", lambda it, a, b: it.arrow(a.right, (600, 65))),
        ("crosses 'a note'", lambda it, a, b: (it.note((220, 65), "a note"), it.arrow(a.right, b.left))),
        ("leans", lambda it, a, b: it.arrow(a.right, b.on("left", 70))),
    ],
)
def test_what_a_reader_would_stumble_over_is_found(fault: str, draw: Any, tmp_path: Path) -> None:
    picture, words, net = two_boxes()
    draw(picture, words, net)
    assert any(fault in found for found in picture.faults()), picture.faults()
    with pytest.raises(ValueError, match=re.escape(fault)):
        picture.save(tmp_path / "faulty.png")
    assert not (tmp_path / "faulty.png").exists()


@pytest.mark.parametrize("name", EVERY)
def test_every_diagram_is_without_faults(name: str) -> None:
    drawn = EVERY[name]()
    if isinstance(drawn, _diagram.Diagram):
        assert drawn.faults() == []
    else:
        assert drawn.figure.axes


@pytest.mark.parametrize("name", EVERY)
def test_every_diagram_is_there_and_shown_with_words_for_those_who_do_not_see_it(name: str) -> None:
    assert (diagrams.PICTURES / f"{name}.png").exists(), f"python benchmarks/diagrams.py {name}"
    shown = [
        text
        for page in (ROOT / "docs").rglob("*.md")
        for text in re.findall(rf"!\[([^\]]*)\]\([^)]*/{name}\.png\)", page.read_text("utf-8"))
    ]
    assert shown and all(len(text.split()) > 4 for text in shown)


@pytest.mark.parametrize("name", EVERY)
def test_every_picture_has_the_size_that_would_be_drawn_now(name: str) -> None:
    from PIL import Image

    width, height = EVERY[name]().figure.get_size_inches()
    assert Image.open(diagrams.PICTURES / f"{name}.png").size == (round(200 * width), round(200 * height))


def test_one_command_draws_what_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["diagrams.py", "lumina", "--into", str(tmp_path / "new")])
    assert diagrams.main() == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["lumina.png"]
    monkeypatch.setattr(sys, "argv", ["diagrams.py", "--list"])
    assert diagrams.main() == 0
    assert capsys.readouterr().out.splitlines()[-len(EVERY) :] == list(EVERY)
    monkeypatch.setattr(sys, "argv", ["diagrams.py", "nothing"])
    with pytest.raises(SystemExit):
        diagrams.main()


# --- the page on diffusion --------------------------------------------------------------------------------------------------


def cells(label: str) -> list[str]:
    """The cells of the row of a table of the page that begins with a label."""
    line = next(line for line in _diagrams_plots.PAGE.read_text("utf-8").splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in line.split("|")[2:-1]]


def agree(label: str, measured: Iterable[float]) -> None:
    assert [float(cell) for cell in cells(label)] == pytest.approx(list(measured), rel=0.06), label


def test_the_tables_say_what_the_code_computes() -> None:
    here = _diagrams_plots.page()
    agree("squared error on fresh pairs", [*(loss for loss, _ in here.training.values()), here.least])
    agree("how far from the formula", [*(apart for _, apart in here.training.values()), 0])
    agree("error of DDIM, against 500 steps", here.ddim_errors.values())
    agree("first order: DDIM on these levels", here.orders[1].values())
    agree("second order", here.orders[2].values())
    agree("Euler", here.flow_errors["euler"].values())
    agree("midpoint", here.flow_errors["midpoint"].values())
    agree("Runge and Kutta, fourth order", here.flow_errors["runge-kutta"].values())
    agree("error", here.placed.values())
    for g, (*shares, distance) in here.guidance.items():
        *told, far = cells(str(g))
        assert [float(cell.rstrip(" %")) / 100 for cell in told] == pytest.approx(shares, abs=0.006)
        assert float(far) == pytest.approx(distance, abs=0.006)
    prose = " ".join(_diagrams_plots.PAGE.read_text("utf-8").split())
    assert f"is {100 * here.detours['flow']:.0f} % for the flow and {100 * here.detours['diffusion']:.0f} % for diffusion" in prose


@pytest.mark.parametrize(("row", "family"), [(0, "musicgen"), (2, "stable_audio"), (3, "lumina")])
def test_the_parts_of_a_family_add_up_to_its_smallest_and_its_largest_model(row: int, family: str) -> None:
    """AudioLDM2 has more: of CLAP the picture counts the side that reads."""
    from kapelle.text_audio.catalogue import MODELS

    of_parts = [re.findall(r"([\d,]+) M", words) for part in _diagrams_diffusion.FAMILIES[row][1:] for words in part]
    millions = [[float(number.replace(",", "")) for number in found] for found in of_parts if found]
    published = [model.n_parameters / 1e6 for model in MODELS if model.family == family]
    assert sum(found[0] for found in millions) == pytest.approx(min(published), abs=1.5)
    assert sum(found[-1] for found in millions) == pytest.approx(max(published), abs=1.5)


def test_the_pages_ddim_is_that_of_the_published_scheduler() -> None:
    torch, diffusers = pytest.importorskip("torch"), pytest.importorskip("diffusers")
    here = _diagrams_plots.page()
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.0015, beta_end=0.0195, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False, steps_offset=1
    )
    scheduler.set_timesteps(50)
    x = torch.tensor(here.start)
    for level in scheduler.timesteps:
        _, noise = here.guess(x.numpy(), here.A[level], here.S[level], here.MUSIC)
        x = scheduler.step(torch.tensor(noise), level, x).prev_sample
    assert here.apart(x.numpy(), here.ddim(here.start, 50, here.MUSIC)) < 1e-4


def test_the_pages_second_order_with_noise_is_that_of_the_published_scheduler() -> None:
    torch, diffusers = pytest.importorskip("torch"), pytest.importorskip("diffusers")
    here = _diagrams_plots.page()
    scheduler = diffusers.CosineDPMSolverMultistepScheduler(sigma_min=0.3, sigma_max=500, sigma_data=1.0)
    scheduler.set_timesteps(20)
    sigmas = scheduler.sigmas.numpy().astype(float)
    drawn = np.random.default_rng(0).standard_normal((20, 500, 2))
    supply = iter(drawn)
    scheduler.noise_sampler = lambda sigma, less: torch.tensor(next(supply))
    x = torch.tensor(sigmas[0] * here.start)
    for sigma, time in zip(sigmas, scheduler.timesteps, strict=False):
        a, s = 1 / np.sqrt(1 + sigma**2), sigma / np.sqrt(1 + sigma**2)
        piece, noise = here.guess(a * x.numpy(), a, s, here.MUSIC)
        x = scheduler.step(torch.tensor(a * noise - s * piece), time, x).prev_sample  # v, as Stable Audio's network tells it

    class Again:
        def __init__(self) -> None:
            self.supply = iter(drawn)

        def standard_normal(self, shape: tuple[int, ...]) -> Any:
            return next(self.supply)

    ours = here.solve(sigmas[0] * here.start, np.append(sigmas[:20], 0.0), here.answer, random=Again())
    assert here.apart(x.numpy(), ours) < 1e-3
