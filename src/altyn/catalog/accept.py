"""What a model takes of what a caller asks: a chat to say, and what was left out of it.

A parameter a model cannot take is left out and named, so that a program written for one model runs
with another. Where leaving it out would change what the answer means, the request is refused.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from altyn.catalog.address import may_be_fetched
from altyn.catalog.model import Model
from altyn.chat import (
    AssistantMessage,
    AudioPart,
    Chat,
    ChatBody,
    FilePart,
    ImagePart,
    Message,
    Part,
    ToolMessage,
    asks_to_reason,
)
from altyn.errors import InvalidParameterError, UnsupportedParameterError

TEMPERATURE = 0.7
"""When the caller names none: promised by the public reference."""

MAX_TOKENS = 2048
"""When the caller names none: promised by the public reference."""


class Accepted(Struct, frozen=True):
    """A chat the model takes.

    `ignored` names what was left out, in the caller's order. `cache_writes` and `audio` say what
    may be on the bill, for `Price.quote`: written cache tokens, and sound.
    """

    chat: Chat
    ignored: tuple[str, ...]
    cache_writes: bool
    audio: bool


class Selection(Struct, gc=False):
    """The work at hand: what was asked, and what of it is chosen or ignored so far."""

    body: ChatBody
    model: Model
    chosen: dict[str, Any]
    ignored: list[str]


def accept(body: ChatBody, fields: dict[str, Any], model: Model) -> Accepted:
    """Choose from `fields` what the model takes; `body` is the same JSON object, checked by type.

    Raise `InvalidParameterError`, or `UnsupportedParameterError` where leaving a parameter out
    would change the meaning of the answer.
    """
    audio = _check_messages(body.messages, model)
    max_tokens = _max_tokens(body, model)
    at = Selection(body, model, {"messages": fields["messages"], "max_tokens": max_tokens}, [])
    _choose_temperature(at)
    for name, value in fields.items():
        if name not in _CHOSEN_ALREADY and value is not None:
            _CHOICES.get(name, _ignore)(at, name, value)
    if model.reasoning.budget_min is not None and asks_to_reason(at.chosen):
        _make_room_to_reason(at, model.reasoning.budget_min)
    chat = Chat(
        model=model.id,
        messages=body.messages,
        fields=at.chosen,
        max_tokens=max_tokens,
        n=body.n or 1,
        stream=body.stream or False,
        reasons=model.reasoning.supported,
    )
    return Accepted(chat, tuple(at.ignored), _may_write_cache(model, at.chosen), audio)


_CHOSEN_ALREADY = frozenset(
    {
        "model",
        "models",
        "messages",
        "temperature",
        "max_tokens",
        "max_completion_tokens",
        "stream",
        "stream_options",
    }
)


# What every chat has --------------------------------------------------------------------------


def _check_messages(messages: list[Message], model: Model) -> bool:
    """Refuse what the model cannot hear or nobody asked for. True if there may be sound in it."""
    audio = False
    called: set[str] = set()
    for index, message in enumerate(messages):
        if type(message.content) is list:
            audio |= _check_parts(message.content, model, index)
        if type(message) is AssistantMessage:
            called.update(call.id for call in message.tool_calls or ())
        elif type(message) is ToolMessage and message.tool_call_id not in called:
            raise InvalidParameterError(param=f"messages[{index}].tool_call_id", reason="unpaired")
    return audio


_MEDIA: dict[type[Part], tuple[str, str]] = {
    ImagePart: ("image_url", "image"),
    FilePart: ("file", "file"),
    AudioPart: ("input_audio", "audio"),
}


def _check_parts(parts: list[Part], model: Model, index: int) -> bool:
    audio = False
    for number, part in enumerate(parts):
        media = _MEDIA.get(type(part))
        if media is not None:
            field, modality = media
            if modality not in model.hears:
                param = f"messages[{index}].content[{number}].{field}"
                raise UnsupportedParameterError(param=param, model=model.id)
            _check_source(part, model, f"messages[{index}].content[{number}].{field}")
            # A file may be a film, and a film is heard too.
            audio |= modality != "image"
    return audio


def _check_source(part: Part, model: Model, param: str) -> None:
    """Refuse what is the operator's: files kept at a provider, addresses of a private network."""
    if type(part) is FilePart and part.file.file_id is not None:
        raise UnsupportedParameterError(param=f"{param}.file_id", model=model.id)
    if type(part) is ImagePart:
        url: str | None = part.image_url.url
    else:
        url = part.file.file_data if type(part) is FilePart else None
    if url is not None and not may_be_fetched(url):
        raise InvalidParameterError(param=param, reason="address")


def _max_tokens(body: ChatBody, model: Model) -> int:
    asked, alias = body.max_tokens, body.max_completion_tokens
    param = "max_tokens"
    if asked is None:
        asked, param = alias, "max_completion_tokens"
    elif alias is not None and alias != asked:
        raise InvalidParameterError(
            param="max_tokens", reason="both", other="max_completion_tokens"
        )
    if asked is None:
        asked = MAX_TOKENS
    elif asked > model.max_tokens_cap:
        raise InvalidParameterError(param=param, reason="range", low=1, high=model.max_tokens_cap)
    return min(asked, model.max_tokens_cap, model.max_output_tokens)


def _choose_temperature(at: Selection) -> None:
    body, model = at.body, at.model
    if "temperature" not in model.takes:
        if body.temperature is not None:
            at.ignored.append("temperature")
    elif body.temperature is not None:
        at.chosen["temperature"] = min(body.temperature, model.temperature_max)
        if body.temperature > model.temperature_max:
            at.ignored.append("temperature")
    elif body.top_p is None or not model.top_p_excludes_temperature:
        at.chosen["temperature"] = TEMPERATURE


_BARE_FIELDS = len(("role", "content"))


def _may_write_cache(model: Model, chosen: dict[str, Any]) -> bool:
    """Whether written cache tokens can be on the bill. Looked up in the decoded JSON, not in its
    text, where a backslash can hide the word.
    """
    if not model.cache_writes_on_request:
        return True
    unread: list[Any] = [chosen["tools"]] if "tools" in chosen else []
    for message in chosen["messages"]:
        if len(message) > _BARE_FIELDS or type(message.get("content")) is not str:
            unread.append(message)  # noqa: PERF401 -- a comprehension costs a call per chat
    while unread:
        value = unread.pop()
        if type(value) is dict:
            if "cache_control" in value:
                return True
            unread.extend(value.values())
        elif type(value) is list:
            unread.extend(value)
    return False


# What a chat may have -------------------------------------------------------------------------


def _ignore(at: Selection, name: str, _value: Any) -> None:
    at.ignored.append(name)


def _pass(at: Selection, name: str, value: Any) -> None:
    at.chosen[name] = value


def _pass_or_ignore(at: Selection, name: str, value: Any) -> None:
    if name in at.model.takes:
        at.chosen[name] = value
    else:
        at.ignored.append(name)


def _pass_or_refuse(at: Selection, name: str, value: Any) -> None:
    if name not in at.model.takes:
        raise UnsupportedParameterError(param=name, model=at.model.id)
    at.chosen[name] = value


def _choose_top_p(at: Selection, name: str, value: Any) -> None:
    if at.model.top_p_excludes_temperature and at.body.temperature is not None:
        at.ignored.append(name)
    else:
        _pass_or_ignore(at, name, value)


def _choose_n(at: Selection, name: str, value: Any) -> None:
    # One choice is what every model gives anyway.
    if value > 1:
        _pass_or_refuse(at, name, value)


def _choose_tools(at: Selection, name: str, value: Any) -> None:
    # No tools is what every model has anyway; OpenAI refuses an empty list.
    if value:
        _pass_or_refuse(at, name, value)


def _choose_tool_choice(at: Selection, name: str, value: Any) -> None:
    if at.body.tools:
        _pass_or_refuse(at, name, value)
    else:
        at.ignored.append(name)


def _choose_parallel_tool_calls(at: Selection, name: str, value: Any) -> None:
    if at.body.tools:
        _pass_or_ignore(at, name, value)
    else:
        at.ignored.append(name)


_JSON_PARAMETERS = {"json_object": "response_format", "json_schema": "structured_outputs"}


def _choose_response_format(at: Selection, name: str, value: Any) -> None:
    needs = _JSON_PARAMETERS.get(value["type"])
    # Text is what every model answers anyway.
    if needs is None:
        return
    if needs not in at.model.takes:
        raise UnsupportedParameterError(param=name, model=at.model.id)
    at.chosen[name] = value


def _choose_effort(at: Selection, name: str, value: Any) -> None:
    # Said in `reasoning`, if there is one: an upstream gets it in one form.
    if at.body.reasoning is not None:
        return
    if name in at.model.takes and at.model.reasoning.takes_effort(value):
        at.chosen[name] = value
    else:
        at.ignored.append(name)


def _choose_reasoning(at: Selection, name: str, value: Any) -> None:
    asked, short = at.body.reasoning, at.body.reasoning_effort
    effort = short if asked is None else asked.effort or short
    if short is not None and effort != short:
        raise InvalidParameterError(
            param="reasoning_effort", reason="both", other="reasoning.effort"
        )
    if name not in at.model.takes:
        at.ignored.extend([name] if short is None else [name, "reasoning_effort"])
        return
    said = {key: part for key, part in value.items() if part is not None}
    if effort is not None:
        said["effort"] = effort
        _drop_unless(at, said, "effort", taken=at.model.reasoning.takes_effort(effort))
    if said.get("enabled") is False:
        _drop_unless(at, said, "enabled", taken=not at.model.reasoning.mandatory)
    if said:
        at.chosen[name] = said


def _make_room_to_reason(at: Selection, budget_min: int) -> None:
    """Leave out what excludes reasoning, or reasoning where the rest means more."""
    forced = at.chosen.get("tool_choice") not in (None, "auto", "none")
    if forced or at.chosen["max_tokens"] <= budget_min:
        excluded = ("reasoning", "reasoning_effort")
    else:
        excluded = ("temperature", "top_p")
    for name in excluded:
        dropped = at.chosen.pop(name, None) is not None
        if dropped and getattr(at.body, name) is not None and name not in at.ignored:
            at.ignored.append(name)


def _drop_unless(at: Selection, said: dict[str, Any], key: str, *, taken: bool) -> None:
    if not taken:
        del said[key]
        at.ignored.append(f"reasoning.{key}")


_CHOICES: dict[str, Callable[[Selection, str, Any], None]] = {
    "top_p": _choose_top_p,
    "stop": _pass_or_ignore,
    "seed": _pass_or_ignore,
    "n": _choose_n,
    "presence_penalty": _pass_or_ignore,
    "frequency_penalty": _pass_or_ignore,
    "logit_bias": _pass_or_ignore,
    "logprobs": _pass_or_ignore,
    "top_logprobs": _pass_or_ignore,
    "tools": _choose_tools,
    "tool_choice": _choose_tool_choice,
    "parallel_tool_calls": _choose_parallel_tool_calls,
    "response_format": _choose_response_format,
    "reasoning_effort": _choose_effort,
    "reasoning": _choose_reasoning,
    "verbosity": _pass_or_ignore,
    "user": _pass,
}
"""How each parameter is chosen. What is not here is unknown, or not passed on, and is named."""
