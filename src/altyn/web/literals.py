"""The values of JSON as programs write them: strings escaped, small objects on one line."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct


class Dialect(Struct, frozen=True, kw_only=True):
    """How a language writes the values of JSON."""

    text: Callable[[str], str]
    name: Callable[[str], str]
    colon: str = ": "
    open: str = "{"
    close: str = "}"
    true: str = "true"
    false: str = "false"
    null: str = "null"
    step: int = 4


def json_text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def js_text(text: str) -> str:
    inner = json.dumps(text, ensure_ascii=False)[1:-1]
    return "'" + inner.replace('\\"', '"').replace("'", "\\'") + "'"


def js_name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_$][\w$]*", name, re.ASCII) else js_text(name)


def php_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


JSON = Dialect(text=json_text, name=json_text, step=2)
PYTHON = Dialect(text=json_text, name=json_text, true="True", false="False", null="None")
JAVASCRIPT = Dialect(text=js_text, name=js_name, step=2)
JS_HEADERS = Dialect(text=js_text, name=js_text, step=2)
PHP = Dialect(text=php_text, name=php_text, colon=" => ", open="[", close="]")


def write_value(value: Any, dialect: Dialect, *, indent: int = 0, plain: bool = False) -> str:
    """A value of JSON. A small object inside a list stays on one line."""
    if isinstance(value, bool):
        return dialect.true if value else dialect.false
    if value is None:
        return dialect.null
    if isinstance(value, str):
        return dialect.text(value)
    if isinstance(value, Mapping):
        lines = [
            f"{dialect.name(name)}{dialect.colon}"
            f"{write_value(one, dialect, indent=indent + dialect.step)}"
            for name, one in value.items()
        ]
        return _group(dialect.open, dialect.close, lines, dialect, indent, plain and _flat(value))
    if isinstance(value, list | tuple):
        lines = [
            write_value(one, dialect, indent=indent + dialect.step, plain=True) for one in value
        ]
        return _group("[", "]", lines, dialect, indent, not any(map(_is_nested, value)))
    return json.dumps(value)


def _group(
    begin: str,
    end: str,
    lines: list[str],
    dialect: Dialect,
    indent: int,
    in_line: bool,  # noqa: FBT001
) -> str:
    if in_line or not lines:
        blank = " " if begin == "{" and dialect is JAVASCRIPT and lines else ""
        return f"{begin}{blank}{', '.join(lines)}{blank}{end}"
    margin = " " * (indent + dialect.step)
    inside = ",\n".join(f"{margin}{line}" for line in lines)
    return f"{begin}\n{inside}\n{' ' * indent}{end}"


def _flat(value: Mapping[str, Any]) -> bool:
    return not any(map(_is_nested, value.values()))


def _is_nested(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)
