# ruff: noqa: E501 -- what vendors send stands on one line, as it came

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altyn.upstream.dialects import faults, get_dialect


def body(message="no", **error):
    return json.dumps({"error": {"message": message, **error}}).encode()


def router(message="Provider returned error", code=400, **metadata):
    error = {"code": code, "message": message, "metadata": metadata}
    return json.dumps({"error": error, "user_id": "user_A"}).encode()


def xai(message):
    return json.dumps({"code": "Client specified an invalid argument", "error": message}).encode()


def google(code, message, *details, status="INVALID_ARGUMENT"):
    error = {"code": code, "message": message, "status": status, "details": list(details)}
    return json.dumps({"error": error}).encode()


CASES = [
    # The status alone
    (400, body(), "bad_request"),
    (401, body(), "auth"),
    (402, body("Insufficient Balance", code="invalid_request_error"), "quota"),
    (403, body(), "auth"),
    (404, body(), "not_found"),
    (405, b"", "not_found"),
    (408, body(), "timeout"),
    (409, body(), "server"),
    (413, body(), "too_large"),
    (422, body(), "bad_request"),
    (429, body(), "rate_limit"),
    (498, body(), "overloaded"),
    (500, body(), "server"),
    (502, b"<html><title>Bad gateway</title></html>", "server"),
    (503, body("Loading model", type="unavailable_error", code=503), "overloaded"),
    (504, b"", "timeout"),
    (524, b"error code: 524", "timeout"),
    (529, body(), "overloaded"),
    (301, b"", "invalid"),
    # Names that know better than the status
    (400, body(type="invalid_request_error", code="context_length_exceeded"), "context_length"),
    (400, body(type="exceed_context_size_error", code=400, n_ctx=8192), "context_length"),
    (400, body(code="model_not_found"), "not_found"),
    (403, body("Project has no access", code="model_not_found"), "not_found"),
    (413, body(code="rate_limit_exceeded", type="tokens"), "rate_limit"),
    (429, body(type="insufficient_quota", code="insufficient_quota"), "quota"),
    (401, body(type="invalid_request_error", code="invalid_api_key"), "auth"),
    # Texts
    (400, body("This model's maximum context length is 8192 tokens."), "context_length"),
    (400, xai("This model's maximum prompt length is 131072 but the request contains 150000 tokens."), "context_length"),
    (400, xai("Grok [input_too_large] text"), "context_length"),
    (400, xai("Incorrect API key provided: xa***. You can obtain one."), "auth"),
    (400, body("invalid value: 'incorrect api key provided'"), "bad_request"),
    (403, xai("Your team has used all available credits or reached its monthly spending limit"), "quota"),
    (429, xai("Your team has used all available credits"), "quota"),
    (400, body("You wrote: available credits"), "bad_request"),
    (400, body("You wrote: your credit balance is too low"), "bad_request"),
    # vLLM, flat
    (400, b'{"object":"error","message":"maximum context length is 10 tokens","code":400}', "context_length"),
    (404, b'{"detail":"Not Found"}', "not_found"),
    # OpenRouter
    (400, router(error_type="context_length_exceeded"), "context_length"),
    (400, router(raw='{"error":{"message":"maximum context length is 5"}}'), "context_length"),
    (403, router("flagged", 403, reasons=["violence"], flagged_input="x"), "bad_request"),
    (403, router("denied", 403, error_type="permission_denied"), "auth"),
    (404, router("gone", 404, error_type="image_not_found"), "bad_request"),
    (404, router("No endpoints found that support tool use.", 404), "bad_request"),
    (404, router("No endpoints found for x/y.", 404), "not_found"),
    (429, router(code=429, provider_name="Google", raw="quota"), "rate_limit"),
    (402, router("Insufficient credits. Add more using …", 402), "quota"),
    (503, router("busy", 503, error_type="provider_overloaded"), "overloaded"),
    # Google
    (400, google(400, "API key not valid. Please pass a valid API key.", {"reason": "API_KEY_INVALID"}), "auth"),
    (400, google(400, "Clé refusée.", {"reason": "API_KEY_INVALID"}), "auth"),
    (400, google(400, "API key not valid. Please pass a valid API key."), "auth"),
    (400, google(400, "API key expired. Please renew the API key."), "auth"),
    (400, google(400, "Invalid value: 'API key not valid'"), "bad_request"),
    (400, google(400, "User location is not supported for the API use.", status="FAILED_PRECONDITION"), "auth"),
    (400, google(400, "Gemini API free tier is not available in your country."), "auth"),
    (400, google(400, "Request payload size exceeds the limit: 20971520 bytes."), "too_large"),
    (400, google(400, "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."), "context_length"),
    (400, google(400, "* GenerateContentRequest.contents: contents is not specified"), "bad_request"),
    (403, google(403, "Your API key was reported as leaked.", status="PERMISSION_DENIED"), "auth"),
    (403, google(403, "Billing.", {"reason": "BILLING_DISABLED"}), "quota"),
    (403, google(403, "You do not have permission to access the File abc or it may not exist."), "bad_request"),
    (404, google(404, "models/x is not found for API version v1beta", status="NOT_FOUND"), "not_found"),
    (409, google(409, "The operation was aborted.", status="ABORTED"), "server"),
    (429, google(429, "You exceeded your current quota.", {"retryDelay": "34.07s"}), "rate_limit"),
    (429, google(429, "You exceeded your current quota."), "quota"),
    (429, google(429, "Your prepayment credits are depleted."), "quota"),
    (429, google(429, "Resource has been exhausted (e.g. check quota)."), "rate_limit"),
    (500, google(500, "An internal error has occurred.", status="INTERNAL"), "server"),
    (503, google(503, "The model is overloaded.", status="UNAVAILABLE"), "overloaded"),
    (504, google(504, "Deadline expired.", status="DEADLINE_EXCEEDED"), "timeout"),
    # Google's array
    (429, b'[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]', "rate_limit"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "sent", "kind"), CASES)
def test_a_refusal_is_judged_by_name_text_and_status(status, sent, kind):
    fault = get_dialect("openai-chat").read_error(status, {}, sent)

    assert fault.kind == kind
    assert fault.status == status


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (body("You said no"), "You said no"),
        (xai("a flat text"), "a flat text"),
        (b'{"detail":"Not Found"}', "Not Found"),
        (b'"just text"', "just text"),
        (b"upstream  connect\nerror", "upstream connect error"),
        (b"<!doctype html><html><head><TITLE>502 Bad Gateway</TITLE>", "502 Bad Gateway"),
        (b"<html>nothing</html>", "a web page"),
        (b"", ""),
        (b"{}", ""),
        (b"null", ""),
        (b"[" * 5000, ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (router(raw="the real one"), "Provider returned error: the real one"),
        (body("x" * 900), "x" * 500),
    ],
)
def test_the_vendors_words_are_found_in_any_shape(sent, message):
    assert faults.read_error(400, {}, sent).message == message


def test_the_parameter_that_was_wrong_is_named():
    fault = faults.read_error(400, {}, body(param="messages[0].content", code="invalid_value"))

    assert fault.param == "messages[0].content"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "99999999"}, 3600.0),
        ({"retry-after": "inf"}, 3600.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 14:30:10 GMT", "date": "Sun, 22 Nov 2026 14:30:00 GMT"}, 10.0),
        ({"retry-after": "Sun, 22 Nov 2026 14:29:00 GMT", "date": "Sun, 22 Nov 2026 14:30:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 14:30:10 GMT", "date": "yesterday"}, None),
    ],
)  # fmt: skip
def test_the_time_to_wait_is_read_from_the_headers(headers, seconds):
    assert faults.read_error(429, headers, b"").retry_after_s == seconds


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ([{"violations": []}, {"retryDelay": "34s"}], 34.0),
        ([{"retryDelay": "34.074824224s"}], 34.074824224),
        ([{"retryDelay": "soon"}], None),
        ([{"retryDelay": 34}], None),
        ([5, None], None),
        ({"retryDelay": "34s"}, None),
    ],
    ids=str,
)
def test_google_says_the_time_to_wait_in_its_details(details, seconds):
    sent = json.dumps({"error": {"code": 429, "message": "no", "details": details}}).encode()

    assert faults.read_error(429, {}, sent).retry_after_s == seconds
    assert faults.read_error(429, {"retry-after": "5"}, sent).retry_after_s == 5.0
    assert faults.read_error_inside(sent).retry_after_s == seconds


def test_openrouter_may_say_the_time_to_wait_in_the_body():
    error = {"code": 503, "message": "x", "availability": {"code": "no", "retry_after": 12}}

    fault = faults.read_error(503, {}, json.dumps({"error": error}).encode())

    assert fault.retry_after_s == 12.0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "code", "metadata", "raw", "availability", "param", "details"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(value=json_values, status=st.integers(300, 599))
def test_no_body_is_too_odd_to_be_judged(value, status):
    fault = faults.read_error(status, {}, json.dumps(value).encode())

    assert len(fault.message) <= 500


@given(sent=st.binary(max_size=200))
def test_no_bytes_are_too_odd_to_be_judged(sent):
    assert faults.read_error_inside(sent).kind
