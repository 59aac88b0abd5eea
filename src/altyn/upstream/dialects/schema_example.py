"""An example value for a JSON Schema: always the same one, and valid, for the sandbox to answer.

Covers what people write for tools and structured output: types, required members, enums, bounds,
formats, `$ref` within the document, `anyOf`, `oneOf`, `allOf`. `pattern`, `not`, `if` and
`uniqueItems` are not looked at. A schema that makes no sense gets a value that makes none.
"""

from typing import Any

Schema = dict[str, Any]

DEEP = 5
"""From here on optional things are left out and the last alternative is taken, so that a schema
which holds itself (a list of nodes) comes to an end.
"""

DEPTH_MAX = 40
VALUES_MAX = 10_000
"""A schema can ask for two of itself at every level; the sandbox stops being exact first."""

LENGTH_MAX = 10_000
ITEMS_MAX = 100

FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "user@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def example_of(schema: Any) -> Any:
    """A value that the schema allows. A schema that is no object allows anything: null."""
    return _Maker(schema).value(schema, depth=0)


class _Maker:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._values_left = VALUES_MAX

    def value(self, schema: Any, *, depth: int) -> Any:
        self._values_left -= 1
        if self._values_left < 0 or depth > DEPTH_MAX:
            return None
        plain = self._plain(schema, deep=depth >= DEEP)
        if "const" in plain:
            return plain["const"]
        choices = _list(plain.get("enum"))
        return choices[0] if choices else self._value_of_type(plain, depth=depth)

    def _value_of_type(self, schema: Schema, *, depth: int) -> Any:
        match _type(schema):
            case "object":
                return self._object_value(schema, depth=depth)
            case "array":
                return self._array_value(schema, depth=depth)
            case "string":
                return _text_value(schema)
            case "integer" | "number":
                return _number_value(schema)
            case kind:
                return True if kind == "boolean" else None

    def _object_value(self, schema: Schema, *, depth: int) -> Schema:
        properties = _object(schema.get("properties"))
        required = [name for name in _list(schema.get("required")) if isinstance(name, str)]
        names = dict.fromkeys([*required, *(properties if depth < DEEP else ())])
        return {name: self.value(properties.get(name), depth=depth + 1) for name in names}

    def _array_value(self, schema: Schema, *, depth: int) -> list[Any]:
        first = _list(schema.get("prefixItems"))
        default = 0 if depth >= DEEP or "items" not in schema else 1
        least = _count(schema, "minItems", default)
        least = min(least, _count(schema, "maxItems", least), ITEMS_MAX)
        items = [*first, *[schema.get("items")] * (least - len(first))]
        return [self.value(item, depth=depth + 1) for item in items]

    def _plain(self, schema: Any, *, deep: bool) -> Schema:
        """Follow references and pick alternatives until a schema says its own type."""
        plain = _object(schema)
        for _ in range(ITEMS_MAX):
            choices = _list(plain.get("anyOf")) or _list(plain.get("oneOf"))
            if "$ref" in plain:
                plain = _object(self._find(plain["$ref"]))
            elif choices:
                rest = {k: v for k, v in plain.items() if k not in ("anyOf", "oneOf")}
                plain = self._merged(rest, [choices[-1 if deep else 0]])
            elif _list(plain.get("allOf")):
                rest = {k: v for k, v in plain.items() if k != "allOf"}
                plain = self._merged(rest, plain["allOf"])
            else:
                return plain
        return {}

    def _merged(self, schema: Schema, parts: list[Any]) -> Schema:
        merged = dict(schema)
        for part in map(_object, parts):
            whole = _object(self._find(part["$ref"])) if "$ref" in part else part
            for name, value in whole.items():
                if name == "properties":
                    merged[name] = {**_object(merged.get(name)), **_object(value)}
                elif name == "required":
                    merged[name] = [*_list(merged.get(name)), *_list(value)]
                else:
                    merged[name] = value
        return merged

    def _find(self, reference: Any) -> Any:
        """Follow `#/$defs/Node`. None if it leads nowhere."""
        place = self._root
        for step in str(reference).removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            place = _object(place).get(name)
        return place


def _type(schema: Schema) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        return kind[0]
    if kind is not None:
        return kind
    if "properties" in schema or "required" in schema:
        return "object"
    return "array" if "items" in schema else "string"


def _text_value(schema: Schema) -> str:
    example = FORMATS.get(str(schema.get("format")))
    if example is not None:
        return example
    text = "example".ljust(min(_count(schema, "minLength", 0), LENGTH_MAX), ".")
    return text[: _count(schema, "maxLength", len(text))]


def _number_value(schema: Schema) -> int | float:
    """The smallest number from 1 up that the bounds allow, or the largest, if they end below."""
    low = _number(schema, "minimum", 1)
    above = _number(schema, "exclusiveMinimum", low - 1)
    low = above + 1 if above >= low else low
    step = _number(schema, "multipleOf", 0)
    if step > 0:
        low = -(-low // step) * step
    high = _number(schema, "maximum", low)
    below = _number(schema, "exclusiveMaximum", low + 1)
    return below - (step or 1) if below <= min(low, high) else min(low, high)


def _number(schema: Schema, name: str, default: float) -> int | float:
    value = schema.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default


def _count(schema: Schema, name: str, default: int) -> int:
    value = schema.get(name)
    return value if isinstance(value, int) and value >= 0 else default


def _object(value: Any) -> Schema:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
