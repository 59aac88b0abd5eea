import json
from datetime import date

import pytest

from altyn.catalog.model import (
    Lifecycle,
    Model,
    ReasoningRule,
    Texts,
    builtin_models,
    read_model,
    read_models,
)
from altyn.chat import Usage
from altyn.errors import OperatorError

PUBLIC_PAGE = [
    "google/gemini-3-flash-preview",
    "google/gemini-3-pro-preview",
    "openai/gpt-5.1-codex-max",
    "openai/gpt-5.2",
    "openai/gpt-5.2-chat",
    "openai/gpt-5.2-pro",
    "x-ai/grok-4.1-fast",
    "qwen/qwen3-32b",
    "openai/gpt-oss-120b",
    "google/gemini-2.5-flash-lite",
    "meta-llama/llama-4-scout",
    "meta-llama/llama-4-maverick",
    "deepseek/deepseek-v3.1-terminus",
    "qwen/qwen3-235b-a22b",
    "google/gemini-2.5-pro",
    "openai/gpt-5-nano",
    "openai/gpt-5-mini",
    "anthropic/claude-haiku-4.5",
    "openai/gpt-5",
    "anthropic/claude-3.7-sonnet",
    "anthropic/claude-opus-4",
    "anthropic/claude-opus-4.1",
    "anthropic/claude-sonnet-4.5",
    "x-ai/grok-4",
    "x-ai/grok-3-mini-beta",
    "anthropic/claude-3.5-sonnet",
]

OWN = {
    "id": "acme/anvil-1",
    "name": "Anvil 1",
    "vendor": "acme",
    "context_length": 32768,
    "max_output_tokens": 4096,
    "supported_parameters": ["max_tokens", "temperature"],
}

BUILTIN = builtin_models()
every_builtin_model = pytest.mark.parametrize("model", BUILTIN, ids=lambda model: model.id)


def file_of(*entries: object) -> bytes:
    return json.dumps({"schema": "altyn-catalog/1", "models": entries}).encode()


def test_the_models_of_the_public_page_come_first_and_in_its_order():
    assert [model.id for model in BUILTIN][: len(PUBLIC_PAGE)] == PUBLIC_PAGE


def test_the_sandbox_is_on_sale():
    sandbox = [model for model in BUILTIN if model.vendor == "sandbox"]

    assert [model.id for model in sandbox] == ["sandbox/echo", "sandbox/lorem", "sandbox/flaky"]
    assert all("n" in model.takes for model in sandbox)


@every_builtin_model
def test_a_model_says_what_it_is_in_both_languages(model):
    texts = model.description

    assert texts.en.endswith(".")
    assert texts.ru.endswith(".")
    assert any("а" <= letter <= "я" for letter in texts.ru)


@every_builtin_model
def test_a_model_costs_something_and_says_who_says_so(model):
    cost = model.cost_price

    assert cost.charge(Usage(input_uncached=1_000_000)) > 0
    assert cost.charge(Usage(output_text=1_000_000)) > 0
    assert model.cost.source
    assert model.cost.as_of


@every_builtin_model
def test_reading_a_cache_costs_no_more_than_input(model):
    for at in model.cost_price.brackets:
        assert at.cached_read <= at.input


@every_builtin_model
def test_the_promised_cap_and_default_hold_for_a_model(model):
    assert model.max_tokens_cap == 8192
    assert model.max_output_tokens >= 8192


@every_builtin_model
def test_a_models_second_home_has_a_name(model):
    if model.vendor == "sandbox":
        assert model.native.dialect == "sandbox"
        assert model.openrouter_model is None
    else:
        assert model.native is not None
        assert model.openrouter_model == model.id


@every_builtin_model
def test_a_model_is_the_same_after_storing(model):
    assert read_model(model.document) == model


def test_prices_are_those_of_the_source():
    by_id = {model.id: model for model in BUILTIN}
    usage = Usage(input_uncached=200_001, output_text=1_000)

    charge = by_id["anthropic/claude-sonnet-4.5"].cost_price.charge(usage)

    assert charge == 200_001 * 6_000 + 1_000 * 22_500  # 6 and 22.5 dollars above 200,000


def test_a_customer_sees_the_end_of_a_model_before_and_after_it():
    coming = Lifecycle(retires=date(2026, 12, 1))
    past = Lifecycle(retires=date(2026, 3, 1), retired=date(2026, 3, 9))
    model = read_models(file_of(OWN))[0]

    assert model.retires_at is None
    assert _living(coming).retires_at == date(2026, 12, 1)
    assert _living(past).retires_at == date(2026, 3, 9)


def test_a_model_is_retired_from_the_day_its_vendor_ends_it():
    model = _living(Lifecycle(retires=date(2026, 12, 1)))

    assert not model.is_retired(date(2026, 11, 30))
    assert model.is_retired(date(2026, 12, 1))
    assert not _living(Lifecycle()).is_retired(date(2026, 12, 1))


def _living(lifecycle: Lifecycle) -> Model:
    return Model(
        id="a/b",
        name="b",
        vendor="a",
        context_length=1,
        max_output_tokens=1,
        supported_parameters=(),
        lifecycle=lifecycle,
    )


@pytest.mark.parametrize(
    ("rule", "effort", "taken"),
    [
        (ReasoningRule(efforts=("low", "high")), "low", True),
        (ReasoningRule(efforts=("low", "high")), "minimal", False),
        (ReasoningRule(), "none", True),
        (ReasoningRule(mandatory=True), "none", False),
        (ReasoningRule(mandatory=True), "high", True),
        (ReasoningRule(efforts=()), "low", False),
    ],
)
def test_an_effort_is_taken_if_the_model_knows_it(rule, effort, taken):
    assert rule.takes_effort(effort) is taken


def test_a_text_is_given_in_the_other_language_rather_than_not_at_all():
    assert Texts(en="anvil").in_language("ru") == "anvil"
    assert Texts(ru="наковальня").in_language("en") == "наковальня"
    assert Texts(en="anvil", ru="наковальня").in_language("ru") == "наковальня"


# An operator's own models ---------------------------------------------------------------------


def test_a_short_entry_is_enough_for_an_own_model():
    [model] = read_models(file_of(OWN))

    assert model.id == "acme/anvil-1"
    assert model.cost_price is None
    assert model.prompt_tokens_bound == 32768


def test_a_host_with_a_longer_window_raises_the_bound_of_a_prompt():
    [model] = read_models(file_of(OWN | {"prompt_tokens_max": 131072}))

    assert model.prompt_tokens_bound == 131072


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"context_length": "32k"}, "field 'context_length': expected int, got str."),
        ({"context_length": 0}, "field 'context_length': expected int >= 1."),
        ({"contxt": 1}, "object contains unknown field contxt."),
        ({"max_output_tokens": 99999}, "field 'max_output_tokens': more than 'context_length'."),
        ({"id": "anvil"}, "field 'id': expected vendor/name in letters, digits and . _ - :."),
        ({"input_modalities": ["image"]}, "field 'input_modalities': a chat needs text."),
        (
            {"input_modalities": ["text", "image"]},
            "field 'image_tokens_max': a model that sees images needs a bound for one.",
        ),
        (
            {"supported_parameters": ["max_tokns"]},
            "field 'supported_parameters[0]': invalid enum value max_tokns.",
        ),
        ({"cost": {"input": 3, "output": "15"}}, "field 'cost.input': expected str, got int."),
        (
            {"cost": {"input": "3 dollars", "output": "15"}},
            (
                "field 'cost': '3 dollars' is not an amount of money: "
                "write a decimal number with at most 9 decimals."
            ),
        ),
        (
            {
                "cost": {
                    "input": "3",
                    "output": "15",
                    "tiers": [
                        {"above_input_tokens": 2, "input": "4", "output": "16"},
                        {"above_input_tokens": 1, "input": "5", "output": "17"},
                    ],
                }
            },
            "field 'cost': The tiers of a price must rise, each above more tokens.",
        ),
    ],
)
def test_a_wrong_entry_is_refused_with_its_name_and_field(change, sentence):
    entry = OWN | change

    with pytest.raises(OperatorError) as refusal:
        read_models(file_of(entry))

    assert str(refusal.value) == f"Model '{entry['id']}': {sentence}"


def test_an_entry_without_a_name_is_refused_by_its_number():
    with pytest.raises(OperatorError) as refusal:
        read_models(file_of(OWN, {"name": "Anvil 2"}))

    assert str(refusal.value).startswith("Model number 2: object missing required field")


def test_a_missing_field_is_named():
    entry = {name: value for name, value in OWN.items() if name != "vendor"}

    with pytest.raises(OperatorError) as refusal:
        read_models(file_of(entry))

    assert str(refusal.value) == "Model 'acme/anvil-1': object missing required field vendor."


def test_the_same_model_twice_is_refused():
    with pytest.raises(OperatorError, match="'acme/anvil-1' is in the file twice"):
        read_models(file_of(OWN, OWN))


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"schema":"altyn-catalog/1"}', b"\xff"])
def test_what_is_not_a_file_of_models_is_refused(data):
    with pytest.raises(OperatorError, match="This is not a file of models"):
        read_models(data)


def test_a_file_of_another_schema_is_refused():
    with pytest.raises(OperatorError, match="expected 'altyn-catalog/1'"):
        read_models(b'{"schema":"altyn-catalog/2","models":[]}')
