import json

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altyn.upstream.dialects.schema_example import VALUES_MAX, example_of

NODE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["name", "next", "children"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}

SCHEMAS = [
    {"type": "object"},
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    {"type": "object", "required": ["free"]},
    {"properties": {"a": {"enum": ["x", "y"]}, "b": {"const": 7}}, "required": ["a", "b"]},
    {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 4},
    {"type": "array", "maxItems": 0, "items": {"type": "string"}},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
    {"type": "string", "minLength": 12},
    {"type": "string", "maxLength": 3},
    {"type": "string", "format": "date-time"},
    {"type": "string", "format": "uuid"},
    {"type": "string", "format": "email"},
    {"type": ["string", "null"]},
    {"type": "integer", "minimum": 5, "maximum": 9},
    {"type": "integer", "maximum": -4},
    {"type": "integer", "exclusiveMinimum": 10, "multipleOf": 4},
    {"type": "number", "minimum": 0.5, "exclusiveMaximum": 0.75},
    {"type": "number", "exclusiveMaximum": 0},
    {"type": "boolean"},
    {"type": "null"},
    {"oneOf": [{"type": "integer"}, {"type": "string"}]},
    {"type": "object", "properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}]},
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"b": {"type": "integer"}}, "required": ["b"]},
        ]
    },
    NODE,
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:60])
def test_an_example_is_valid(schema):
    jsonschema_rs.validate(schema, example_of(schema))


def test_the_same_schema_gives_the_same_example():
    assert example_of(NODE) == example_of(NODE)


def test_a_schema_that_doubles_itself_at_every_level_comes_to_an_end():
    node = {"$ref": "#/$defs/n"}
    twice = {"type": "object", "properties": {"a": node, "b": node}, "required": ["a", "b"]}

    text = json.dumps(example_of({"$defs": {"n": twice}, **node}))

    assert text.count(":") <= 2 * VALUES_MAX


def test_a_reference_to_itself_comes_to_an_end():
    assert example_of({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}) == "example"


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | st.sampled_from(["object", "#/a", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "properties",
                    "required",
                    "items",
                    "anyOf",
                    "allOf",
                    "$ref",
                    "enum",
                    "minimum",
                    "multipleOf",
                    "minItems",
                    "minLength",
                    "maxLength",
                    "format",
                    "a",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(schema=anything)
def test_no_schema_is_too_odd(schema):
    json.dumps(example_of(schema))
