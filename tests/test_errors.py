import string

import pytest

from altyn import errors
from altyn.error_texts import LANGUAGES, MESSAGES, REASONS
from altyn.errors import (
    AltynError,
    InvalidParameterError,
    OperatorError,
    UnknownNameError,
    UpstreamFailedError,
)

CONTRACT = {
    400: {
        "invalid_json",
        "invalid_parameter",
        "missing_parameter",
        "unsupported_parameter",
        "context_length_exceeded",
        "key_in_url",
    },
    401: {"missing_api_key", "invalid_api_key", "revoked_api_key", "expired_api_key"},
    402: {"insufficient_balance", "key_limit_exceeded"},
    403: {"model_not_allowed", "ip_not_allowed", "account_frozen", "insufficient_scope"},
    404: {"model_not_found", "not_found"},
    405: {"method_not_allowed"},
    409: {"idempotency_conflict", "model_not_priced"},
    413: {"body_too_large"},
    415: {"unsupported_media_type"},
    429: {"rate_limit_exceeded", "too_many_concurrent_requests"},
    500: {"internal_error"},
    502: {"upstream_error", "upstream_invalid_response"},
    503: {"model_unavailable", "overloaded"},
    504: {"upstream_timeout"},
}
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "invalid_request_error",
    405: "invalid_request_error",
    409: "invalid_request_error",
    413: "invalid_request_error",
    415: "invalid_request_error",
    429: "rate_limit_error",
    500: "api_error",
    502: "upstream_error",
    503: "upstream_error",
    504: "upstream_error",
}


def every_error() -> list[type[AltynError]]:
    """Every class of the tree that is raised itself: those that nothing is below."""

    def leaves(error: type[AltynError]) -> list[type[AltynError]]:
        below = [leaf for part in error.__subclasses__() for leaf in leaves(part)]
        return below or [error]

    found = [leaf for leaf in leaves(AltynError) if leaf.__module__ == errors.__name__]
    return [leaf for leaf in found if not issubclass(leaf, OperatorError)]


def named_facts(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_the_tree_says_what_the_contract_promises():
    told: dict[int, set[str]] = {}
    for error in every_error():
        told.setdefault(error.status, set()).add(error.code)

    assert told == CONTRACT


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.code)
def test_a_status_has_one_type(error):
    assert error.type == TYPES[error.status]


@pytest.mark.parametrize("catalogue", [MESSAGES, REASONS], ids=["messages", "reasons"])
def test_every_text_is_there_in_both_languages_with_the_same_facts(catalogue):
    for code, texts in catalogue.items():
        assert set(texts) == set(LANGUAGES), code
        assert named_facts(texts["en"]) == named_facts(texts["ru"]), code


def test_every_code_has_a_text_and_every_text_a_code():
    codes = {error.code for error in every_error()} | {OperatorError.code}

    assert codes == set(MESSAGES)


def test_a_russian_text_is_in_russian():
    for code, texts in {**MESSAGES, **REASONS}.items():
        if code not in {"operator_error", "http"}:
            letters = sum("а" <= letter.lower() <= "я" for letter in texts["ru"])
            assert letters > 5, code


def test_a_reason_is_told_in_the_language_of_its_message():
    error = InvalidParameterError(param="n", reason="range", low=1, high=128)

    assert error.message("en") == "The parameter 'n' is not valid: expected 1 to 128."
    assert error.message("ru") == "Недопустимое значение параметра «n»: ожидается от 1 до 128."


def test_a_fact_with_braces_is_told_as_it_is():
    error = InvalidParameterError(param="{param}", reason="expected {x}")

    assert error.message("en") == "The parameter '{param}' is not valid: expected {x}."


def test_what_a_vendor_said_is_not_in_the_message():
    error = UpstreamFailedError("the key sk-secret is refused")

    assert "sk-secret" not in f"{error} {error.message('en')} {error.message('ru')} {error.facts}"
    assert error.detail == "the key sk-secret is refused"


def test_an_operators_error_is_its_sentence():
    error = UnknownNameError("There is no model x.")

    assert (str(error), error.message("ru")) == ("There is no model x.",) * 2
    assert error.code == "operator_error"


@pytest.mark.parametrize(
    ("language", "message"),
    [
        (
            "en",
            "The parameter 'request' is not valid: the model's provider refused the request: Odd.",
        ),
        (
            "ru",
            "Недопустимое значение параметра «request»: поставщик модели отклонил запрос: Odd.",
        ),
    ],
)
def test_a_refusal_that_names_no_parameter_is_one_of_the_request(language, message):
    error = InvalidParameterError(reason="upstream", said="Odd.")

    assert error.message(language) == message
