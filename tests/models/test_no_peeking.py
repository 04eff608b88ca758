"""No language model sees what it is to foretell, and what pads a row changes nothing: later ids, other rows, the end of a theme."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

torch = pytest.importorskip("torch")

from kapelle.models import chord_lstm, gpt, lstm, theme, theme_variational  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

V, T, NOW = 20, 12, 7
CLOSE = 1e-5
SHAPE: dict[str, Any] = {"n_positions": 32, "n_head": 2, "d_ff": 32, "n_encoder": 1, "n_decoder": 2, "exclusive": (0, 1)}
LABELS = [[0, 0, 1, 2, 3, 4, 0, 0, 0, 1, 2, 3, 0, 0, 0], [1, 2, 3, 0, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0]]
BUILT: dict[str, Callable[[], Any]] = {
    "gpt": lambda: gpt.build(gpt.Config(vocabulary=V, n_positions=16, n_embd=16, n_layer=2, n_head=2)),
    "lstm": lambda: lstm.build(lstm.Config(vocabulary=V, embed_size=8, hidden_size=16)),
    "chord_lstm": lambda: chord_lstm.build(chord_lstm.Config(vocabulary=V, embed=8, hidden=(16, 8), dense=8)),
    "chord_lstm faithful": lambda: chord_lstm.build(chord_lstm.Config(vocabulary=V, input="scalar", hidden=(16, 8), dense=8)),
    "theme": lambda: theme.build(theme.Config(vocabulary=V, d_model=16, **SHAPE)),
    "theme, wide heads": lambda: theme.build(theme.Config(vocabulary=V, d_model=128, **SHAPE)),
    "theme, seq2seq": lambda: theme.build(theme.Config(vocabulary=V, d_model=16, variant="seq2seq", **SHAPE)),
    "theme, prompt": lambda: theme.build(theme.Config(vocabulary=V, d_model=16, variant="prompt", **SHAPE)),
    "theme, slots": lambda: theme_variational.build(theme_variational.Config(vocabulary=V, d_model=16, slots=2, latent=4, **SHAPE)),
}
MODULES = {"gpt": gpt, "lstm": lstm, "chord_lstm": chord_lstm}
THEME = [[3, 9, 4, 11, 7, 2], [5, 6, 1, 13, 0, 0]]


def heard(name: str, network: Any, ids: Any, pads: int = 0) -> Any:
    """Logits of rows (B, T), in eval mode; a theme is padded by so many zeros."""
    family = name.partition(" ")[0].rstrip(",")
    with torch.no_grad():
        if family in MODULES:
            return MODULES[family].logits(network, ids)
        labels = torch.tensor(LABELS)[: len(ids), : ids.shape[1]]
        return theme.logits(network, ids, labels, torch.nn.functional.pad(torch.tensor(THEME)[: len(ids)], (0, pads)))


@pytest.mark.parametrize("name", BUILT)
def test_neither_later_ids_nor_padding_nor_other_rows_move_a_logit(name: str) -> None:
    torch.manual_seed(0)
    network = BUILT[name]().eval()
    ids = torch.randint(1, V, (2, T))
    other = ids.clone()
    other[:, NOW:] = ids[:, NOW:] % (V - 1) + 1
    here = heard(name, network, ids)
    moved = (heard(name, network, other) - here).abs().amax(dim=(0, 2))
    assert float(moved[:NOW].max()) < CLOSE < float(moved[NOW:].min())
    assert torch.allclose(heard(name, network, torch.nn.functional.pad(ids, (0, 3)))[:, :T], here, atol=CLOSE)
    assert torch.allclose(heard(name, network, ids[:1]), here[:1], atol=CLOSE)
    assert torch.allclose(heard(name, network, ids, pads=4), here, atol=CLOSE)
