"""The examples of the documentation: which calls they are. How they are written: `snippets.py`."""

from collections.abc import Mapping
from datetime import date

from altyn.gateway.offer import Offer
from altyn.web.snippets import Call

GREETING = {"ru": "Привет!", "en": "Hello!"}
STORY = {"ru": "Расскажи короткую историю.", "en": "Tell me a short story."}
SANDBOX = "sandbox/"
ORDINARY_MODEL = "sandbox/echo"


def list_examples(model: str, language: str, *, today: date) -> Mapping[str, Call]:
    """Every example by its name, as calls of one model in the reader's language."""
    first = _body(model, GREETING[language])
    story = _body(model, STORY[language])
    return {
        "first": call_of(model, language),
        "chat": Call(
            path="/chat/completions", body=first | {"temperature": 0.7, "max_tokens": 2048}
        ),
        "stream": Call(path="/chat/stream", body=story),
        "models": Call(path="/models"),
        "balance": Call(path="/balance"),
        "usage": Call(path="/usage", query={"from": f"{today:%Y-%m-01}", "group_by": "model"}),
        "key": Call(path="/key"),
        "again": Call(
            path="/chat/completions", body=first, headers={"Idempotency-Key": "order-1042"}
        ),
    }


def call_of(model: str, language: str) -> Call:
    """The first call of a model."""
    return Call(path="/chat/completions", body=_body(model, GREETING[language]))


def _body(model: str, text: str) -> dict[str, object]:
    return {"model": model, "messages": [{"role": "user", "content": text}]}


def choose_model(offers: list[Offer]) -> str:
    """The model that examples name: the cheapest that answers now, the sandbox where none does."""
    real = [offer for offer in offers if offer.available and not offer.id.startswith(SANDBOX)]
    return min(real, key=_price_of_both).id if real else ORDINARY_MODEL


def _price_of_both(offer: Offer) -> int:
    assert offer.rate is not None  # or it would not be available
    at = offer.rate.price.bracket_at(0)
    return at.input + at.output
