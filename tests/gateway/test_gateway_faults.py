import pytest
from msgspec import structs

from altyn.chat import Fault, SystemMessage, TextPart, UserMessage
from altyn.gateway.faults import to_error, words_for_the_log
from fakes.orders import take

KINDS = {
    "bad_request": (400, "invalid_parameter"),
    "context_length": (400, "context_length_exceeded"),
    "too_large": (413, "body_too_large"),
    "auth": (503, "model_unavailable"),
    "quota": (503, "model_unavailable"),
    "not_found": (503, "model_unavailable"),
    "rate_limit": (503, "overloaded"),
    "overloaded": (503, "overloaded"),
    "server": (502, "upstream_error"),
    "timeout": (504, "upstream_timeout"),
    "connect": (502, "upstream_error"),
    "broken": (502, "upstream_error"),
    "invalid": (502, "upstream_invalid_response"),
}
SECRETS = [
    "sk-of-the-operator",
    "sk-proj-abc123",
    "sk-ant-api03-xyz",
    "sk-w***",
    "sk_live_abcdefgh",
    "gsk_abcdef123",
    "xai-abcdef123",
    "hf_abcdef123",
    "pplx-abcdef123",
    "AIzaSyD-abc_123",
    "AKIAABCDEFGHIJKLMNOP",
    "eyJhbGciOiJIUzI1NiJ9.e30.abc",
    "org-abc12345",
    "proj_abc12345",
    "user-abc12345",
    "req_abc12345",
    "acct_abc12345",
    "project 123456789",
    "ops@vendor.test",
    "api.vendor.test",
    "internal-7.cluster.local",
    "platform.openai.com",
    "https://platform.openai.com/account/limits",
    "10.0.0.12",
    "2001:db8:85a3::8a2e:370:7334",
    "0123456789abcdef0123456789abcdef",
    "3f2b8c1e-9d47-4a6b-8e21-7c5d9f0a1b2c",
    "their-19",
]


def test_every_kind_of_fault_has_its_meaning():
    assert set(KINDS) == set(Fault.Kind.__args__)


@pytest.mark.parametrize(("kind", "expected"), KINDS.items())
def test_a_fault_means_to_the_caller(kind, expected):
    error = to_error(Fault(kind, "said"), take())

    assert (error.status, error.code) == expected


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bad_request"])
def test_what_the_vendor_said_is_for_the_operator_alone(kind):
    error = to_error(Fault(kind, "their secret words"), take())

    told = f"{error.message('en')}{error.message('ru')}{error.facts}{error.param}"
    assert "their secret words" not in told


@pytest.mark.parametrize("secret", SECRETS)
def test_a_refusal_of_the_request_is_passed_on_without_secrets(secret):
    order = take(model="openai/gpt-5")
    fault = Fault("bad_request", f"Invalid 'tools': see {secret}, please.", param="tools")
    if secret.startswith("their-"):
        secret = order.targets[0].upstream_model
        fault = Fault("bad_request", f"Invalid 'tools': see {secret}, please.", param="tools")

    error = to_error(fault, order)

    assert secret not in error.message("en")
    assert "Invalid 'tools': see" in error.message("en")
    assert error.param == "tools"


@pytest.mark.parametrize(
    "words",
    [
        "max_tokens must be at most 4096, got 5000.",
        "Invalid schema for function 'get_weather': 'type' is a required property.",
        "The ratio 3.5 is not valid; use 1:1, 16:9 or 4:3 at 12:30:00.",
    ],
)
def test_harmless_words_are_passed_on_as_they_are(words):
    error = to_error(Fault("bad_request", words), take(model="openai/gpt-5"))

    assert words in error.message("en")


def test_our_name_of_the_model_stands_for_theirs():
    order = take(model="openai/gpt-5")
    theirs = order.targets[0].upstream_model

    error = to_error(Fault("bad_request", f"{theirs} cannot see."), order)

    assert "openai/gpt-5 cannot see." in error.message("en")


def test_a_long_sermon_is_cut():
    error = to_error(Fault("bad_request", "no " * 1000), take())

    assert len(error.message("en")) < 500


@pytest.mark.parametrize(
    ("asked", "told"), [(None, 5), (0.0, 1), (0.2, 1), (7.0, 7), (10_000.0, 60)]
)
def test_the_wait_a_vendor_asks_for_is_kept_within_bounds(asked, told):
    error = to_error(Fault("rate_limit", retry_after_s=asked), take())

    assert error.facts["retry_after_s"] == told


def test_a_limit_is_a_number():
    assert isinstance(to_error(Fault("too_large"), take()).facts["limit_bytes"], int)


def test_a_parameter_named_by_the_vendor_is_passed_on_without_secrets():
    order = take()
    secret = order.targets[0].provider.secret
    fault = Fault("bad_request", "no", param=f"https://10.0.0.7/{secret}/" + "x" * 500)

    error = to_error(fault, order)

    told = f"{error.param}{error.message('en')}"
    assert secret not in told
    assert "10.0.0.7" not in told
    assert len(error.param) <= 100


# For the log ----------------------------------------------------------------------------------

PROMPT = "What I tell nobody but you: the treasure is under the oak."


def asking(*messages):
    order = take()
    order.chat = structs.replace(order.chat, messages=list(messages))
    return order


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ("The engine is down.", "The engine is down."),
        (f"Cannot process: {PROMPT}", "Cannot process: …"),
        (f"Failed on '{PROMPT[10:50]}' at once", "Failed on '…"),
        (f"{PROMPT[:30]} and so on", "…"),
        ("Bad key sk-of-the-operator.", "Bad key …."),
        ("", ""),
    ],
)
def test_the_log_has_the_vendors_words_and_not_the_callers(said, logged):
    order = asking(UserMessage(content=PROMPT))

    assert words_for_the_log(Fault("server", said), order) == logged


def test_a_quotation_is_found_in_every_part_of_every_message():
    parts = [TextPart(text="Hello."), TextPart(text=PROMPT)]
    order = asking(SystemMessage(content="Be kind."), UserMessage(content=parts))

    assert words_for_the_log(Fault("invalid", f"no: {PROMPT}"), order) == "no: …"


@pytest.mark.parametrize("kind", ["bad_request", "context_length", "too_large"])
def test_a_refusal_of_the_request_is_not_logged_at_all(kind):
    assert words_for_the_log(Fault(kind, "whatever they say"), take()) is None
