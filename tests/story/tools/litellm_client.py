"""LiteLLM as a client of the gateway: everything it found, as JSON."""

import json
import os
import sys
from typing import Any

import litellm

# LiteLLM takes a name it knows from OpenAI to OpenAI's other API, which is not ours to offer.
PREFIXES = {"openai/gpt-5.2-pro": "custom_openai"}
MESSAGES = [{"role": "user", "content": "Привет!"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Tell the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
PLACE = {
    "type": "json_schema",
    "json_schema": {
        "name": "place",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
            "required": ["city", "degrees"],
            "additionalProperties": False,
        },
    },
}


def complete(model: str, messages: list[Any], **more: Any) -> Any:
    return litellm.completion(
        model=f"{PREFIXES.get(model, 'openai')}/{model}",
        api_base=os.environ["GATEWAY_URL"],
        api_key=os.environ["GATEWAY_KEY"],
        messages=messages,
        num_retries=0,
        max_retries=0,
        **more,
    )


def collect(model: str, messages: list[Any], **more: Any) -> Any:
    """A stream, put together by LiteLLM's own builder."""
    options = {"stream": True, "stream_options": {"include_usage": True}}
    chunks = list(complete(model, messages, **options, **more))
    return litellm.stream_chunk_builder(chunks, messages=messages)


def plain(ask: Any, model: str) -> dict[str, Any]:
    answer = ask(model, MESSAGES)
    choice = answer.choices[0]
    return {
        "text": choice.message.content,
        "finishReason": choice.finish_reason,
        "total": answer.usage.total_tokens,
    }


def tool_loop(ask: Any, model: str) -> dict[str, Any]:
    said = ask(model, MESSAGES, tools=[TOOL]).choices[0].message
    asked = [
        (call.id, call.function.name, json.loads(call.function.arguments))
        for call in said.tool_calls
    ]
    results = [f"21 degrees in {arguments['city']}" for _, _, arguments in asked]
    told = [
        {"role": "tool", "tool_call_id": number, "content": result}
        for (number, _, _), result in zip(asked, results, strict=True)
    ]
    answer = ask(model, [*MESSAGES, said.model_dump(), *told], tools=[TOOL])
    called = [[name, arguments] for _, name, arguments in asked]
    return {"called": called, "results": results, "text": answer.choices[0].message.content}


def structured(model: str) -> Any:
    answer = complete(model, MESSAGES, response_format=PLACE)
    return json.loads(answer.choices[0].message.content)


def failure() -> dict[str, Any]:
    try:
        complete("nobody/nothing", MESSAGES)
    except litellm.NotFoundError as error:
        code = "model_not_found" if "nobody/nothing" in str(error) else None
        return {"status": error.status_code, "code": code}
    raise AssertionError("the call did not fail")


def try_out(model: str) -> dict[str, Any]:
    return {
        "whole": plain(complete, model),
        "stream": plain(collect, model),
        "toolLoop": tool_loop(complete, model),
        "streamedToolLoop": tool_loop(collect, model),
        "structured": structured(model),
    }


if __name__ == "__main__":
    found = {model: try_out(model) for model in sys.argv[1:]}
    sys.stdout.write(json.dumps({**found, "failure": failure()}))
