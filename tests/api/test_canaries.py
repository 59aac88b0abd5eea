"""Secrets that must not get out: planted, called through every path, and looked for everywhere."""

import json
import logging

import pytest
import structlog

from altyn.database.seal import Seal
from altyn.database.tables import metadata
from altyn.logs import mask_secrets
from altyn.upstream.provider import resume_provider
from fakes.caller import Caller
from fakes.openai_server import FakeOpenAI, Reply

MODEL = "openai/gpt-oss-120b"
UPSTREAM_KEY = "sk-canary-upstream-5f1d0c9a8b7e6f5d"
PROMPT = "the quick brown canary 7f3a-prompt"
ANSWER = "the lazy yellow canary 9c1e-answer"
VENDORS = ("org-canary12345678", "user-canary87654321", "ops@canary.test", "10.11.12.13")
QUOTING = f"Key {UPSTREAM_KEY} of {' '.join(VENDORS)} may not: https://canary.test/x"


def refusal(status: int, message: str = QUOTING, **more: object) -> Reply:
    return Reply(status=status, body=json.dumps({"error": {"message": message, **more}}).encode())


REPLIES = [
    Reply(text=ANSWER),
    refusal(400, f"{QUOTING} you said: {PROMPT}"),
    refusal(400, QUOTING, code="context_length_exceeded"),
    *(refusal(status) for status in (401, 402, 403, 404, 429, 500, 503, 529)),
    Reply(body=f"<html>{QUOTING} {PROMPT}</html>".encode()),
    Reply(body=json.dumps({"error": {"message": QUOTING, "code": 429}}).encode()),
    Reply(text=ANSWER, error={"message": QUOTING, "code": 502}),
    Reply(text=ANSWER, cut_after_bytes=900),
    Reply(text="", finish_reason=None, usage="absent"),
    Reply(text=ANSWER, usage_values={"prompt_tokens": -1, "completion_tokens": 10**9}),
]


@pytest.fixture
def heard(caplog):
    """Every line of every log, as it would be written at the level `debug`."""
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as events:
        yield lambda: "\n".join(
            [str(mask_secrets(None, "", dict(event))) for event in events]
            + [record.getMessage() for record in caplog.records]
        )


def dump(gateway) -> str:
    """Every row of every table."""
    return "\n".join(
        str(tuple(row)) for name in metadata.tables for row in gateway.read(f"SELECT * FROM {name}")
    )


def test_nothing_secret_gets_out(gateway, heard):
    alice = gateway.add_customer("10")
    said = []
    with FakeOpenAI(key=UPSTREAM_KEY) as vendor:
        name = gateway.add_upstream(
            vendor.base_url, MODEL, secret=UPSTREAM_KEY, upstream_model="test-model"
        )
        caller = Caller(gateway.base, alice.key)
        for path in ("/chat/completions", "/chat/stream"):
            for reply in REPLIES:
                gateway.write(lambda tx: resume_provider(tx, name))
                vendor.says(reply)
                messages = [{"role": "user", "content": PROMPT}]
                said.append(caller.chat(path, model=MODEL, messages=messages))
        messages = [{"role": "user", "content": PROMPT}]
        wrong = ({"temperature": "x"}, {"model": "nobody/x"}, {"max_tokens": -1})
        said += [caller.chat(messages=messages, **fields) for fields in wrong]
        said += [caller.get(f"/usage?key={alice.key}"), caller.get(f"/{alice.key}")]
        gateway.wait_until_idle()

    logs, rows = heard(), dump(gateway)
    answers = "\n".join(f"{answer.headers}{answer.body.decode()}" for answer in said)
    assert {answer.status for answer in said} >= {200, 400, 404, 502, 503}
    assert "attempt_ended" in logs
    for secret in (alice.key, alice.test_key, UPSTREAM_KEY):
        assert secret not in logs
        assert secret not in rows
        assert secret not in answers
    for words in (PROMPT, ANSWER):
        assert words not in logs
        assert words not in rows
    for detail in (*VENDORS, "canary.test", f"127.0.0.1:{vendor.port}"):
        assert detail not in answers


def test_what_the_database_holds_of_a_key_opens_nothing(gateway):
    alice = gateway.add_customer()

    rows = dump(gateway)

    assert alice.key[12:52] not in rows
    assert alice.key[:12] in rows
    assert alice.key[-4:] in rows


def test_a_providers_secret_is_sealed(gateway, vendor):
    gateway.add_upstream(vendor.base_url, MODEL, secret=UPSTREAM_KEY)

    rows = gateway.read("SELECT secret_sealed FROM providers WHERE secret_sealed IS NOT NULL")

    assert UPSTREAM_KEY.encode() not in bytes(rows[0][0])
    assert isinstance(gateway.seal, Seal)


@pytest.mark.parametrize(
    "line",
    [
        "sk_live_" + "a" * 48,
        UPSTREAM_KEY,
        "Bearer abcdefgh",
        "AIzaSyA1234567890abcdef",
        "gsk_1234567890",
        "xai-1234567890",
        "postgresql://altyn:secret@host/db",
    ],
)
def test_what_slips_into_a_line_is_masked(line):
    event = mask_secrets(None, "", {"event": f"before {line} after", "number": 7})

    assert line not in event["event"]
    assert event["event"].startswith("before ")
    assert event["number"] == 7
