"""The models that compose, and what can be asked of each."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from kapelle.errors import UsageError
from kapelle.web import errors
from kapelle.web.app import Here
from kapelle.web.routes.answers import described
from kapelle.web.schemas import MODEL, ModelCard, Offer

router = APIRouter(prefix="/api/models", tags=["models"])

Name = Annotated[str, Path(pattern=MODEL, description="name of a model", examples=["genre-small"])]


@router.get("", summary="What can be asked of each model", operation_id="models", response_model=list[Offer], responses=described())
def models(here: Here) -> list[dict[str, Any]]:
    """The default model first."""
    return [offer.as_dict() for offer in here.offered.all()]


@router.get(
    "/{name}",
    summary="What can be asked of a model, and its card",
    operation_id="model",
    response_model=ModelCard,
    responses=described(404, 422),
)
def model(name: Name, here: Here) -> dict[str, Any]:
    """The offer of a model, with what it is, what it learned from and how good it is."""
    from kapelle.bundles import load
    from kapelle.web import rooms

    try:
        offer = here.offered.named(name)
    except UsageError:
        raise errors.unknown("model", name) from None
    card = load.find(offer.bundle) / "card.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    return {**offer.as_dict(), "card_html": rooms.card_html(text)}
