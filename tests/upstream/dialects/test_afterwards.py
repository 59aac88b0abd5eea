"""What OpenRouter says of a generation afterwards, read into the same usage as its answers."""

import json

import pytest

from altyn.chat import Fault, Usage
from altyn.upstream.dialects.afterwards import can_tell, look_up_path, read_told

GENERATION = {
    "id": "gen-1",
    "native_tokens_prompt": 100,
    "native_tokens_cached": 40,
    "native_tokens_completion": 30,
    "native_tokens_reasoning": 10,
    "native_tokens_completion_images": None,
    "tokens_prompt": 7,
    "tokens_completion": 7,
    "total_cost": 0.000000123456789,
    "usage": 0.5,
    "is_byok": False,
    "cancelled": False,
    "finish_reason": "stop",
}


def told(**changes):
    return json.dumps({"data": {**GENERATION, **changes}}).encode()


def test_the_native_counts_are_the_billed_ones():
    found = read_told(200, told())

    assert found is not None
    assert found.finish_reason == "stop"
    assert found.usage == Usage(
        input_uncached=60, cache_read=40, output_text=20, reasoning=10, cost_nanos=124
    )


def test_what_is_not_written_yet_is_not_told():
    assert read_told(404, b'{"error":{"message":"not found"}}') is None


@pytest.mark.parametrize("status", [401, 429, 500])
def test_a_refusal_tells_nothing(status):
    assert read_told(status, b"") is None


def test_a_record_without_counts_tells_nothing():
    assert read_told(200, told(native_tokens_prompt=None, native_tokens_completion=None)) is None


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"{}", told(native_tokens_prompt=-1), told(native_tokens_completion="9")],
)
def test_what_cannot_be_read_is_a_fault(body):
    with pytest.raises(Fault) as caught:
        read_told(200, body)

    assert caught.value.kind == "invalid"


def test_only_openrouter_can_tell():
    assert can_tell("openrouter.ai")
    assert can_tell("OpenRouter.ai")
    assert not can_tell("api.openai.com")


def test_an_id_cannot_reach_another_path():
    assert look_up_path("gen-1/../keys?x=&y") == "/generation?id=gen-1%2F..%2Fkeys%3Fx%3D%26y"
