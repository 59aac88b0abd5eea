"""LangChain against the gateway: everything it found, as JSON."""

import json
import os
import sys
from typing import Any

import openai
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr

PROMPT = "Привет!"


class Place(BaseModel):
    """A place and how warm it is there."""

    city: str
    degrees: int


@tool
def weather(city: str) -> str:
    """Tell the weather of a city."""
    return f"21 degrees in {city}"


def open_model(name: str) -> ChatOpenAI:
    return ChatOpenAI(
        model=name,
        base_url=os.environ["GATEWAY_URL"],
        api_key=SecretStr(os.environ["GATEWAY_KEY"]),
        max_retries=0,
    )


def whole(model: ChatOpenAI) -> dict[str, Any]:
    said = model.invoke(PROMPT)
    return {
        "text": said.content,
        "finishReason": said.response_metadata["finish_reason"],
        "total": said.usage_metadata and said.usage_metadata["total_tokens"],
    }


def stream(model: ChatOpenAI) -> dict[str, Any]:
    said = sum_of(model.stream(PROMPT, stream_usage=True))
    return {
        "text": said.content,
        "finishReason": said.response_metadata["finish_reason"],
        "total": said.usage_metadata and said.usage_metadata["total_tokens"],
    }


def sum_of(chunks: Any) -> AIMessageChunk:
    first, *rest = chunks
    for chunk in rest:
        first += chunk
    found: AIMessageChunk = first
    return found


def tool_loop(model: ChatOpenAI, *, streamed: bool) -> dict[str, Any]:
    bound = model.bind_tools([weather])
    history: list[Any] = [HumanMessage(PROMPT)]

    def ask() -> Any:
        return sum_of(bound.stream(history)) if streamed else bound.invoke(history)

    said = ask()
    called = [[call["name"], call["args"]] for call in said.tool_calls]
    results = [weather.invoke(call["args"]) for call in said.tool_calls]
    history += [said]
    history += [
        ToolMessage(result, tool_call_id=call["id"])
        for call, result in zip(said.tool_calls, results, strict=True)
    ]
    return {"called": called, "results": results, "text": ask().content}


def structured(model: ChatOpenAI) -> dict[str, Any]:
    asked = model.with_structured_output(Place)
    return Place.model_validate(asked.invoke(PROMPT)).model_dump()


def failure() -> dict[str, Any]:
    try:
        open_model("nobody/nothing").invoke(PROMPT)
    except openai.NotFoundError as error:
        return {"status": error.status_code, "code": error.code}
    raise AssertionError("the call did not fail")


def try_out(name: str) -> dict[str, Any]:
    model = open_model(name)
    return {
        "whole": whole(model),
        "stream": stream(model),
        "toolLoop": tool_loop(model, streamed=False),
        "streamedToolLoop": tool_loop(model, streamed=True),
        "structured": structured(model),
    }


if __name__ == "__main__":
    found = {name: try_out(name) for name in sys.argv[1:]}
    sys.stdout.write(json.dumps({**found, "failure": failure()}))
