"""A JSON schema as the vendor takes it for answers and strict tools."""

from typing import Any

VALUES = frozenset({"const", "default", "enum", "examples"})
"""Members that hold values, not schemas."""


def closed(schema: Any) -> Any:
    """The schema with every object closed to members it does not name.

    The vendor refuses an object that is silent about them. Whatever fits the closed schema fits the
    caller's. What else the vendor refuses is left for it to say: dropping it would widen the form.
    """
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    said = {k: part if k in VALUES else closed(part) for k, part in schema.items()}
    kinds = said.get("type")
    if (kinds == "object" or (isinstance(kinds, list) and "object" in kinds)) and (
        "additionalProperties" not in said
    ):
        said["additionalProperties"] = False
    return said
