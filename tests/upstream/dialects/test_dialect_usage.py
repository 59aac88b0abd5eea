import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altyn.chat import Usage
from altyn.upstream.dialects import get_dialect
from altyn.upstream.dialects.usage import read_usage

GEMINI = "google/gemini-2.5-flash"


def read(text: bytes, model: str | None = None) -> Usage | None:
    return read_usage(msgspec.Raw(text), model=model)


def details(cached=0, written=0, **more):
    return {"cached_tokens": cached, "cache_write_tokens": written, **more}


def report(prompt, completion, *, total=None, cached=0, written=0, reasoning=0, **more):
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion if total is None else total,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }
    return msgspec.json.encode({**usage, **more})


CASES = {
    "openai, nothing cached": (report(53, 15), Usage(input_uncached=53, output_text=15)),
    "openai, cached and reasoning inside": (
        report(2000, 300, cached=1536, reasoning=256),
        Usage(input_uncached=464, cache_read=1536, output_text=44, reasoning=256),
    ),
    "openai, rejected predictions are inside and charged": (
        (
            b'{"prompt_tokens":10,"completion_tokens":30,"total_tokens":40,'
            b'"completion_tokens_details":{"rejected_prediction_tokens":20,"reasoning_tokens":0}}'
        ),
        Usage(input_uncached=10, output_text=30),
    ),
    "openai, audio in": (
        (
            b'{"prompt_tokens":100,"completion_tokens":1,"total_tokens":101,'
            b'"prompt_tokens_details":{"audio_tokens":60,"cached_tokens":0}}'
        ),
        Usage(input_uncached=40, audio_input=60, output_text=1),
    ),
    "audio that was cached counts as cached": (
        (
            b'{"prompt_tokens":100,"completion_tokens":1,"total_tokens":101,'
            b'"prompt_tokens_details":{"audio_tokens":60,"cached_tokens":80}}'
        ),
        Usage(cache_read=80, audio_input=20, output_text=1),
    ),
    "a picture out": (
        (
            b'{"prompt_tokens":5,"completion_tokens":1300,"total_tokens":1305,'
            b'"completion_tokens_details":{"image_tokens":1290,"reasoning_tokens":0}}'
        ),
        Usage(input_uncached=5, output_text=10, image=1290),
    ),
    "openrouter, sonnet 4.6, second call": (
        report(2649, 12, cached=2569, written=79, cost=0.00124995, is_byok=False),
        Usage(
            input_uncached=1,
            cache_read=2569,
            cache_write_5m=79,
            output_text=12,
            cost_nanos=1_249_950,
        ),
    ),
    "written tokens that cannot all be in the prompt": (
        report(2168, 10, cached=2161, written=2161),
        Usage(cache_read=2161, cache_write_5m=2161, output_text=10, flagged=True),
    ),
    "openrouter, more reasoning than completion": (
        report(20, 10, reasoning=11),
        Usage(input_uncached=20, reasoning=10),
    ),
    "openrouter, own key": (
        report(10, 1, cost=0, is_byok=True, cost_details={"upstream_inference_cost": 0.0003253}),
        Usage(input_uncached=10, output_text=1, cost_nanos=325_300),
    ),
    "openrouter, own key with a fee": (
        report(10, 1, cost=0.00001, is_byok=True, cost_details={"upstream_inference_cost": 0.0003}),
        Usage(input_uncached=10, output_text=1, cost_nanos=310_000),
    ),
    "openrouter, web search": (
        report(
            8174,
            30,
            cost=0.0133176,
            is_byok=False,
            cost_details={"upstream_inference_cost": 0.0133176},
            server_tool_use_details={"web_search_requests": 1},
        ),
        Usage(input_uncached=8174, output_text=30, web_searches=1, cost_nanos=13_317_600),
    ),
    "openrouter, a cost finer than a nano is rounded up": (
        b'{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"cost":0.000247013333}',
        Usage(input_uncached=1, output_text=1, cost_nanos=247_014),
    ),
    "a cost with an exponent": (
        b'{"prompt_tokens":1,"completion_tokens":1,"cost":6.3e-06}',
        Usage(input_uncached=1, output_text=1, cost_nanos=6_300),
    ),
    "no cost known": (
        b'{"prompt_tokens":1,"completion_tokens":1,"cost":null,"cost_details":null}',
        Usage(input_uncached=1, output_text=1),
    ),
    "xai, reasoning outside, cost in ticks": (
        report(1889, 52, total=2102, reasoning=161, cost_in_usd_ticks=8_370_001),
        Usage(input_uncached=1889, output_text=52, reasoning=161, cost_nanos=837_001),
    ),
    "deepseek, hit and miss": (
        (
            b'{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,'
            b'"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}'
        ),
        Usage(input_uncached=36, cache_read=64, output_text=5),
    ),
    "ollama, no details": (
        b'{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}',
        Usage(input_uncached=7, output_text=3),
    ),
    "details that are null": (
        (
            b'{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,'
            b'"prompt_tokens_details":null,"completion_tokens_details":null}'
        ),
        Usage(input_uncached=7, output_text=3),
    ),
    "a total that does not add up is flagged": (
        report(7, 3, total=99),
        Usage(input_uncached=7, output_text=3, flagged=True),
    ),
    "embeddings of nothing": (b"{}", None),
    "null": (b"null", None),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_usage_is_read_into_disjoint_kinds(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize(
    "usage",
    [
        b'{"prompt_tokens":-1,"completion_tokens":1}',
        b'{"prompt_tokens":1,"completion_tokens":1000000001}',
        b'{"prompt_tokens":1,"completion_tokens":99999999999999999999999}',
        b'{"prompt_tokens":1.5,"completion_tokens":1}',
        b'{"prompt_tokens":"1","completion_tokens":1}',
        b'{"prompt_tokens":true,"completion_tokens":1}',
        b'{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":-5}}',
        b'{"prompt_tokens":1,"completion_tokens":1,"cost":-0.1}',
        b'{"prompt_tokens":1,"completion_tokens":1,"cost":1e300}',
        b'{"prompt_tokens":1,"completion_tokens":1,"cost":"NaN"}',
        b'{"prompt_tokens":1,"completion_tokens":1,"cost":{"usd":1}}',
        b'{"prompt_tokens":1,"completion_tokens":1,"cost_in_usd_ticks":-1}',
    ],
)
def test_usage_that_cannot_be_right_is_refused_and_the_answer_is_not(usage):
    dialect = get_dialect("openai-chat")
    choice = (
        b'{"index":0,"message":{"role":"assistant","content":"Hi","refusal":null},'
        b'"logprobs":null,"finish_reason":"stop"}'
    )

    event = dialect.stream_reader().read("", b'{"choices":[],"usage":%b}' % usage)
    answer = dialect.read_answer(b'{"choices":[%b],"usage":%b}' % (choice, usage))

    assert event.usage == answer.usage == Usage(refused=True)
    assert answer.choices == b"[%b]" % choice


@pytest.mark.parametrize(
    ("prompt", "cached", "written", "put_in"),
    [(2168, 2161, 2161, 7), (2168, 0, 2161, 2168), (10_000, 2000, 2000, 8000), (50, 0, 0, 50)],
)
def test_what_google_writes_behind_openrouter_is_billed_on_top(prompt, cached, written, put_in):
    usage = read(report(prompt, 10, cached=cached, written=written), GEMINI)

    assert usage == Usage(
        input_uncached=put_in,
        cache_read=cached,
        cache_write_5m=written,
        written_on_top=written,
        output_text=10,
    )
    assert (usage.input_tokens, usage.total_tokens) == (prompt, prompt + 10)


tokens = st.integers(0, 10**6)


@given(prompt=tokens, completion=tokens, cached=tokens, written=tokens, reasoning=tokens)
def test_kinds_are_never_negative_and_add_up_or_are_flagged(
    prompt, completion, cached, written, reasoning
):
    usage = read(report(prompt, completion, cached=cached, written=written, reasoning=reasoning))

    assert usage is not None
    kinds = (usage.input_uncached, usage.cache_read, usage.output_text, usage.reasoning)
    assert min(kinds) >= 0
    assert usage.total_tokens == prompt + completion or usage.flagged
