"""The body of a chat request: bytes to `ChatBody`, or an error that names the wrong parameter."""

import json
import math
import re
from typing import Any

import msgspec

from altyn.chat import ChatBody
from altyn.errors import (
    AltynError,
    InvalidJsonError,
    InvalidParameterError,
    MissingParameterError,
)

DEPTH_MAX = 200
PARAM_MAX = 100

FAULT = re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<got>[^`]+)`")
MISSING = re.compile(r"Object missing required field `(?P<name>[^`]+)`")
PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")


def wants_usage(body: ChatBody) -> bool:
    return body.stream_options is not None and body.stream_options.include_usage


def decode_chat(data: bytes) -> tuple[ChatBody, dict[str, Any]]:
    """The body as it was sent, and checked by type. Raises with the path of what is wrong."""
    fields = decode_json(data)
    if "model" not in fields and "models" in fields:
        _name_first_model(fields)
    try:
        return msgspec.convert(fields, ChatBody), fields
    except msgspec.ValidationError as error:
        raise _as_parameter(str(error)) from None


def _name_first_model(fields: dict[str, Any]) -> None:
    """OpenRouter's callers may name their models in `models` alone: the first is asked first."""
    names = fields["models"]
    if isinstance(names, list) and names:
        fields["model"] = names[0]


def decode_json(data: bytes) -> dict[str, Any]:
    """A JSON object, not nested deeper than `DEPTH_MAX`."""
    try:
        fields = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if (param := _find_endless_number(data)) is not None:
            raise InvalidParameterError(param=param, reason="number") from None
        raise InvalidJsonError(reason=str(error)) from None
    except RecursionError:
        raise InvalidJsonError(reason="too_deep") from None
    if not isinstance(fields, dict):
        raise InvalidJsonError(reason="no_object")
    # Nothing is nested deeper than it has brackets; most bodies have few.
    if data.count(b"{") + data.count(b"[") > DEPTH_MAX and _is_too_deep(fields):
        raise InvalidJsonError(reason="too_deep")
    return fields


def _find_endless_number(data: bytes) -> str | None:
    """The member that holds `NaN`, `1e999` or a number of 5,000 digits, which are not JSON to
    everybody: found only to tell the caller where to look.
    """
    try:
        fields = json.loads(data, parse_int=float)
    except (ValueError, RecursionError):
        return None
    for name, value in fields.items() if isinstance(fields, dict) else ():
        if isinstance(value, float) and not math.isfinite(value):
            return str(name)[:PARAM_MAX]
    return None


def _is_too_deep(fields: dict[str, Any]) -> bool:
    """Whether what comes later, and counts on a stack of some depth, would fail on it."""
    level: list[Any] = [fields]
    for _ in range(DEPTH_MAX):
        below: list[Any] = []
        for value in level:
            if type(value) is dict:
                below.extend(value.values())
            elif type(value) is list:
                below.extend(value)
        if not below:
            return False
        level = below
    return True


def _as_parameter(text: str) -> AltynError:
    """Turn msgspec's sentence into an error that names the parameter."""
    place = PLACE.search(text)
    path = place["path"] if place else ""
    reason = text[: place.start()] if place else text
    if missing := MISSING.match(reason):
        return MissingParameterError(param=f"{path}.{missing['name']}".lstrip("."))
    if wrong := FAULT.match(reason):
        return InvalidParameterError(
            param=path or None, reason="type", expected=wrong["expected"], got=wrong["got"]
        )
    return InvalidParameterError(param=path or None, reason=reason.replace("`", "'"))
