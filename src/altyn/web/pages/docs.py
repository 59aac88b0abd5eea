"""The documentation: what the public page tells, in its words, and then all of the API."""

from datetime import UTC, datetime

from starlette.responses import Response

from altyn.errors import NotFoundError
from altyn.web import manual
from altyn.web.call import answer_call, playground_caller
from altyn.web.examples import choose_model, list_examples
from altyn.web.pages.models import hides_models, price_group
from altyn.web.snippets import Call, blocks, colour
from altyn.web.visit import Visit


async def show(visit: Visit) -> Response:
    """`GET /docs` and `GET /api-documentation`"""
    offers = list(visit.shop.offers(await price_group(visit)))
    model = choose_model(offers)
    examples = _examples(visit, model)
    page = await visit.page(
        "docs/docs.html",
        tabs={name: blocks(call, base=visit.shop.api_base) for name, call in examples.items()},
        samples={
            name: colour(text, "text" if name == "events" else "json")
            for name, text in manual.SAMPLES.items()
        },
        manual=manual,
        errors=manual.error_lines(visit.words.language),
        model=model,
        offers=() if hides_models(visit) else offers,
        settings=visit.shop.settings,
    )
    return await visit.pack(page)


async def run(visit: Visit) -> Response:
    """`POST /docs/run/{example}`: the example as a free test call of whoever looks at the page."""
    offers = list(visit.shop.offers(await price_group(visit)))
    call = _examples(visit, choose_model(offers)).get(visit.part("example"))
    if call is None:
        raise NotFoundError
    return answer_call(visit, await playground_caller(visit, mode="test"), call)


def _examples(visit: Visit, model: str) -> dict[str, Call]:
    today = datetime.now(UTC).date()
    return dict(list_examples(model, visit.words.language, today=today))
