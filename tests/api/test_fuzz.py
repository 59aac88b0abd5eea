"""Whatever is sent with a test key, nothing is our fault: never a 500, always an answer of ours.

The requests are made from the description at `/openapi.json`: half as it says, half bent somewhere.
"""

import json
import sys
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import openapi

from altyn.api import routes
from altyn.chat import ChatBody
from altyn.gateway import attempt
from altyn.upstream.dialects import sandbox
from fakes.caller import Caller

QUICK = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "\x00", "auto", "text", 2**63, -(10**30), 1e308, -0.0]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4)
    ),
    max_leaves=12,
)
TEXT = st.text(max_size=30)
MODELS = st.sampled_from(
    ["sandbox/echo", "sandbox/flaky", "openai/gpt-5", "anthropic/claude-opus-4"]
)
PART = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image_url", "file", "input_audio", "refusal", "x"])},
    optional={
        "text": TEXT,
        "image_url": st.fixed_dictionaries({"url": TEXT}) | JSON,
        "file": JSON,
        "input_audio": JSON,
        "refusal": TEXT,
    },
)
CALL = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b"]), "type": st.just("function")},
    optional={"function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT})},
)
MESSAGE = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["system", "developer", "user", "assistant", "tool", "x"]),
        "content": TEXT | st.lists(PART, max_size=3) | st.none(),
    },
    optional={
        "tool_call_id": st.sampled_from(["a", "b"]),
        "tool_calls": st.lists(CALL, max_size=2),
        "name": TEXT,
    },
)
SCHEMAS = st.sampled_from(
    [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"$ref": "#"},
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"anyOf": []},
        {"type": ["string", "null"], "pattern": "(a+)+$", "minLength": 10**9},
        {"type": "array", "items": {"$ref": "#"}, "minItems": 10**6},
        {"enum": []},
        {"type": "integer", "minimum": 10**400},
        {"properties": 7, "required": "x"},
        {},
    ]
)
TOOL = st.fixed_dictionaries(
    {
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": TEXT}, optional={"parameters": SCHEMAS | JSON}),
    }
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    name: JSON for name in ChatBody.__struct_fields__ if name not in {"model", "messages"}
}
FIELDS |= {
    "tools": st.lists(TOOL, max_size=3) | JSON,
    "tool_choice": st.sampled_from(["none", "auto", "required"]) | JSON,
    "response_format": st.fixed_dictionaries(
        {
            "type": st.sampled_from(["text", "json_object", "json_schema"]),
            "json_schema": st.fixed_dictionaries({"name": TEXT, "schema": SCHEMAS | JSON}),
        }
    )
    | JSON,
    "max_tokens": st.integers(1, 50) | JSON,
    "n": st.integers(1, 3) | JSON,
    "temperature": st.floats(0, 2) | JSON,
    "stop": TEXT | st.lists(TEXT, max_size=3) | JSON,
    "stream": st.booleans() | JSON,
    "reasoning": st.fixed_dictionaries({}, optional={"effort": TEXT, "enabled": st.booleans()})
    | JSON,
}


def subset(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.sets(st.sampled_from(sorted(fields)), max_size=4).flatmap(
        lambda names: st.fixed_dictionaries({name: fields[name] for name in names})
    )


SAID = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant"]), "content": TEXT | st.just("!tool 7")}
)
GOOD: dict[str, st.SearchStrategy[Any]] = {
    "tools": st.lists(
        st.fixed_dictionaries(
            {
                "type": st.just("function"),
                "function": st.fixed_dictionaries(
                    {"name": st.just("f")},
                    optional={"parameters": SCHEMAS | st.dictionaries(TEXT, JSON, max_size=3)},
                ),
            }
        ),
        max_size=3,
    ),
    "response_format": st.fixed_dictionaries(
        {
            "type": st.sampled_from(["json_object", "json_schema"]),
            "json_schema": st.fixed_dictionaries(
                {"name": TEXT, "schema": SCHEMAS | st.dictionaries(TEXT, JSON, max_size=3)}
            ),
        }
    ),
    "max_tokens": st.integers(1, 50),
    "n": st.integers(1, 3),
    "temperature": st.floats(0, 2),
    "stop": TEXT | st.lists(TEXT, max_size=3),
    "stream": st.booleans(),
    "colour": JSON,
    "tool_choice": st.sampled_from(["none", "auto", "required"]),
    "reasoning": st.fixed_dictionaries({}, optional={"effort": TEXT, "enabled": st.booleans()}),
}


def bodies(
    models: st.SearchStrategy[Any],
    messages: st.SearchStrategy[Any],
    fields: dict[str, st.SearchStrategy[Any]],
) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda model, said, more: {"model": model, "messages": said, **more},
        models,
        messages,
        subset(fields),
    )


GOOD_BODIES = bodies(MODELS, st.lists(SAID, min_size=1, max_size=3), GOOD)
BENT_BODIES = bodies(MODELS | JSON, st.lists(MESSAGE, min_size=1, max_size=3) | JSON, FIELDS)


class Ear:
    """Hears what would be logged with a story: a fault of ours, whatever the caller was told."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def exception(self, event: str, **_: object) -> None:
        self.heard.append(f"{event}: {sys.exc_info()[1]!r}")

    def warning(self, event: str, **_: object) -> None:
        pass


@pytest.fixture(scope="module", autouse=True)
def _the_sandbox_does_not_take_its_time():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sandbox, "ECHO_PACE_S", 0)
        yield


@pytest.fixture(scope="module")
def caller(house):
    return Caller(house.base, house.add_customer("10").test_key)


@pytest.fixture(autouse=True)
def no_fault_of_ours(monkeypatch):
    ear = Ear()
    monkeypatch.setattr(attempt, "log", ear)
    monkeypatch.setattr(routes, "log", ear)
    yield
    assert ear.heard == []


def is_ours(said) -> None:
    assert said.status not in {500, 501}, said.body
    assert said.headers["x-request-id"].startswith("req_")
    if said.status >= 400:
        assert said.error["request_id"] == said.headers["x-request-id"]
        assert said.error["message"]
        assert "Traceback" not in said.body.decode()


@QUICK
@given(body=GOOD_BODIES, path=st.sampled_from(["/chat/completions", "/chat/stream"]))
def test_any_good_chat_gets_an_answer(caller, body, path):
    is_ours(caller.post(path, json.dumps(body).encode()))


@QUICK
@given(body=BENT_BODIES, path=st.sampled_from(["/chat/completions", "/chat/stream"]))
def test_any_bent_chat_gets_an_answer(caller, body, path):
    is_ours(caller.post(path, json.dumps(body).encode()))


@QUICK
@given(data=st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_get_an_answer(caller, data):
    is_ours(caller.post("/chat/completions", data))


@QUICK
@given(
    pairs=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    *("from", "to", "model", "key_id", "status", "mode"),
                    *("group_by", "limit", "cursor", "page"),
                ]
            )
            | TEXT,
            TEXT
            | st.datetimes().map(str)
            | st.integers().map(str)
            | st.sampled_from(["day", "hour", "success", "live", "MS5h", "", "2026-01-01"]),
        ),
        max_size=4,
    )
)
def test_any_query_gets_an_answer(caller, pairs):
    query = "&".join(f"{quoted(name)}={quoted(value)}" for name, value in pairs)

    is_ours(caller.get(f"/usage?{query}"))


@QUICK
@given(name=st.binary(min_size=1, max_size=40), path=st.sampled_from(["models", "generations"]))
def test_any_name_gets_an_answer(caller, name, path):
    is_ours(caller.get(f"/{path}/" + "".join(f"%{byte:02x}" for byte in name)))


def quoted(text: str) -> str:
    return "".join(f"%{byte:02x}" for byte in text.encode("utf-8", "surrogatepass"))


def test_bodies_made_from_the_description_get_an_answer(house, caller):
    told = openapi.from_dict(Caller(house.url).get("/openapi.json").json)

    for found in told.get_all_operations():
        operation = found.ok()

        @settings(QUICK, max_examples=5)
        @given(case=operation.as_strategy())
        def send(case):
            path = case.path.replace("{id}", quoted(str(case.path_parameters.get("id", ""))))
            query = "&".join(f"{quoted(n)}={quoted(str(v))}" for n, v in (case.query or {}).items())
            body = json.dumps(case.body).encode() if case.method == "POST" else None
            is_ours(caller.call(case.method.upper(), f"{path}?{query}", body))

        send()
