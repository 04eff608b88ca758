"""How tokens are drawn, in one frozen object; contradictions are refused here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from kapelle.config import check, setting
from kapelle.errors import UsageError


@dataclass(frozen=True)
class SamplingOptions:
    """How the next token is drawn from the model's logits. Filters apply in the order of the fields."""

    temperature: float = setting(
        1.0, help="above 1: more surprising; below 1: more predictable", ru="больше 1: неожиданнее; меньше 1: предсказуемее",
        min=0.01, max=5.0, step=0.05,
    )  # fmt: skip
    top_k: int = setting(0, help="keep the k likeliest tokens; 0: all", ru="оставить k вероятнейших токенов; 0: все", min=0, max=10_000)
    top_p: float = setting(
        0.97, help="keep the smallest set of tokens with this probability", ru="наименьший набор токенов с этой вероятностью",
        min=0.01, max=1.0, step=0.01,
    )  # fmt: skip
    min_p: float = setting(
        0.0, help="drop tokens less likely than this share of the likeliest", ru="отбросить токены, чья вероятность ниже этой доли лучшей",
        min=0.0, max=0.99, step=0.01,
    )  # fmt: skip
    repetition_penalty: float = setting(
        1.0, help="above 1: pitches of the last notes become less likely", ru="больше 1: недавние высоты звучат реже",
        min=1.0, max=2.0, step=0.05,
    )  # fmt: skip

    def __post_init__(self) -> None:
        check(self)
        if self.min_p and self.top_k == 1:
            raise UsageError(
                "top-k 1 leaves one token; min-p {min_p} has nothing to choose from", min_p=self.min_p, hint="give one of the two"
            )
