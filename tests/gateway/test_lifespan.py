from datetime import UTC, date, datetime

import pytest

from altyn.catalog.load import Standing
from altyn.catalog.model import builtin_models
from altyn.gateway.lifespan import lifespan
from altyn.upstream.router import Target
from fakes.orders import make_provider

MODELS = {model.id: model for model in builtin_models()}
NATIVE = "https://api.anthropic.com/v1"
OPENROUTER = "https://openrouter.ai/api/v1"
OWN = "http://127.0.0.1:8000/v1"
AT_THE_VENDOR, ELSEWHERE, MIDDLEMAN = range(3)


def ms(*day):
    return int(datetime(*day, tzinfo=UTC).timestamp()) * 1000


def targets():
    return [
        Target(
            route_id=number,
            provider=make_provider(number, name, "openai-chat", url),
            upstream_model="x",
        )
        for number, (name, url) in enumerate(
            [("anthropic", NATIVE), ("own", OWN), ("openrouter", OPENROUTER)]
        )
    ]


def asked(model, at_ms, standing=Standing()):  # noqa: B008 -- it is frozen
    life = lifespan(MODELS[model], standing, targets())
    return [target.route_id for target in life.targets_at(at_ms)]


def test_until_its_day_a_model_is_asked_of_everybody():
    eve = ms(2026, 2, 19) - 1

    assert asked("anthropic/claude-3.7-sonnet", eve) == [AT_THE_VENDOR, ELSEWHERE, MIDDLEMAN]


def test_from_its_day_on_a_model_is_asked_neither_of_its_vendor_nor_of_who_has_dropped_it():
    day = ms(2026, 2, 19)

    assert asked("anthropic/claude-3.7-sonnet", day) == [ELSEWHERE]


def test_who_still_lists_a_retired_model_goes_on_with_it():
    assert asked("anthropic/claude-opus-4.1", ms(2026, 11, 25)) == [ELSEWHERE, MIDDLEMAN]


def test_the_operators_word_ends_it_for_everybody():
    standing = Standing(retires_at=ms(2026, 3, 1))

    assert asked("anthropic/claude-haiku-4.5", ms(2026, 3, 1) - 1, standing) != []
    assert asked("anthropic/claude-haiku-4.5", ms(2026, 3, 1), standing) == []


@pytest.mark.parametrize(
    ("standing", "retired_at"),
    [
        (Standing(), ms(2026, 2, 19)),
        (Standing(retires_at=ms(2026, 1, 1)), ms(2026, 1, 1)),
        (Standing(retires_at=ms(2027, 1, 1)), ms(2026, 2, 19)),
    ],
)
def test_a_model_was_retired_by_whoever_ended_it_first(standing, retired_at):
    life = lifespan(MODELS["anthropic/claude-3.7-sonnet"], standing, [])

    assert life.retired_at(ms(2026, 11, 25)) == retired_at


def test_what_nobody_has_ended_yet_is_not_retired():
    assert MODELS["openai/gpt-5"].retires_at == date(2026, 12, 11)
    life = lifespan(MODELS["openai/gpt-5"], Standing(), [])

    assert life.retired_at(ms(2026, 12, 11) - 1) is None
    assert life.retired_at(ms(2026, 12, 11)) == ms(2026, 12, 11)
