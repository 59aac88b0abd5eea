"""`openapi.json`, made from the same routes and structs that serve."""

from typing import Any

import msgspec
from msgspec import Raw

from altyn import __version__
from altyn.api import wire
from altyn.api.routes import BASE, ROUTES
from altyn.chat import ChatBody
from altyn.gateway.refusals import list_api_errors

ANSWERS: dict[str, tuple[str, type]] = {
    "/chat/completions": ("One answer, or events with stream: true", wire.ChatCompletion),
    "/chat/stream": (
        "Server-Sent Events; the last but one tells usage and cost",
        wire.ChatCompletion,
    ),
    "/models": ("The models on sale", wire.ModelList),
    "/models/{id}": ("One model on sale", wire.ModelCard),
    "/balance": ("The account's money now", wire.BalanceCard),
    "/usage": ("Usage records and totals", wire.UsageList),
    "/generations/{id}": ("One usage record in full, with its receipt", wire.GenerationCard),
    "/key": ("The calling key", wire.KeyCard),
}

FILTERS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("from", {"type": "string"}, "Date (midnight UTC) or RFC 3339 time, inclusive"),
    ("to", {"type": "string"}, "Date or time, exclusive"),
    ("model", {"type": "string"}, "Only this model"),
    ("key_id", {"type": "integer", "minimum": 1}, "Only this key"),
    ("status", {"enum": ["success", "error", "cancelled"]}, "Only this status"),
    ("mode", {"enum": ["live", "test"]}, "Only live or only test calls"),
    ("group_by", {"enum": ["day", "hour", "model", "key", "status"]}, "Totals instead of records"),
    ("limit", {"type": "integer", "minimum": 1, "maximum": 100}, "Records on a page (20)"),
    ("cursor", {"type": "string"}, "next_cursor of the page before"),
    ("page", {"type": "integer", "minimum": 1}, "Page number, instead of a cursor"),
)


def describe(public_url: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the External API."""
    types = [
        ChatBody,
        wire.ErrorBody,
        wire.UsageGroups,
        *(answer for _, answer in ANSWERS.values()),
    ]
    _, components = msgspec.json.schema_components(
        types, schema_hook=_schema_of_raw, ref_template="#/components/schemas/{name}"
    )
    return {
        "openapi": "3.1.0",
        "info": {"title": "Altyn External API", "version": __version__},
        "servers": [{"url": f"{public_url}{BASE}"}],
        "security": [{"key": []}],
        "paths": {
            route.path: {route.method.lower(): _operation(route.path, route.method, route.scope)}
            for route in ROUTES
        },
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(path: str, method: str, scope: str) -> dict[str, Any]:
    summary, answer = ANSWERS[path]
    operation: dict[str, Any] = {
        "summary": summary,
        "operationId": f"{method.lower()}{path.replace('/', '_').replace('{id}', 'one')}",
        "x-scope": scope,
        "responses": {"200": _content(path, answer), **_errors()},
    }
    if method == "POST":
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _reference(ChatBody)}},
        }
    if path == "/usage":
        operation["parameters"] = [
            {"name": name, "in": "query", "schema": schema, "description": words}
            for name, schema, words in FILTERS
        ]
    if "{id}" in path:
        operation["parameters"] = [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
        ]
    return operation


def _content(path: str, answer: type) -> dict[str, Any]:
    schema: dict[str, Any] = _reference(answer)
    if path == "/usage":
        schema = {"anyOf": [schema, _reference(wire.UsageGroups)]}
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if path == "/chat/stream":
        content = {"text/event-stream": {"schema": {"type": "string"}}}
    elif path == "/chat/completions":
        content["text/event-stream"] = {"schema": {"type": "string"}}
    return {"description": "OK", "content": content}


def _errors() -> dict[str, Any]:
    """Every status an error can have, with the codes it may carry."""
    codes: dict[int, list[str]] = {}
    for error in list_api_errors():
        codes.setdefault(error.status, []).append(error.code)
    return {
        str(status): {
            "description": ", ".join(sorted(set(names))),
            "content": {"application/json": {"schema": _reference(wire.ErrorBody)}},
        }
        for status, names in sorted(codes.items())
    }


def _reference(kind: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def _schema_of_raw(kind: type) -> dict[str, Any]:
    """Two members are spliced in as bytes: the choices, and the cost with its exact digits."""
    if kind is Raw:
        return {"description": "choices: an array as in OpenAI's API; cost: a number"}
    raise NotImplementedError  # msgspec's word for a type it has to describe by itself
