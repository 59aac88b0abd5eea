"""What a host says it serves: `GET /models` in the forms of OpenAI's family, Anthropic and Google.

Only OpenRouter tells prices and limits; of the others the names are worth having.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, field

from altyn.chat import Fault

PATHS = {
    "anthropic": ("/models?limit=1000", (("anthropic-version", "2023-06-01"),)),
    "gemini": ("/models?pageSize=1000", ()),
}
"""Where a dialect lists its models, if not at `/models`, and what it wants to be told."""

PLAIN: tuple[str, tuple[tuple[str, str], ...]] = ("/models", ())
GOOGLE_PREFIX = "models/"
Text = Annotated[str, Meta(max_length=200)]


class Architecture(Struct):
    input_modalities: list[str] = field(default_factory=list)
    output_modalities: list[str] = field(default_factory=list)


class TopProvider(Struct):
    max_completion_tokens: int | None = None


class Listed(Struct):
    """One model of a list. `pricing` as OpenRouter writes it: decimal strings for one token."""

    id: Text = ""
    name: str = ""
    description: str = ""
    created: int | None = None
    context_length: int | None = None
    architecture: Architecture = field(default_factory=Architecture)
    top_provider: TopProvider = field(default_factory=TopProvider)
    supported_parameters: list[str] = field(default_factory=list)
    pricing: dict[str, Any] | None = None


class Listing(Struct):
    data: list[msgspec.Raw] | None = None
    models: list[msgspec.Raw] | None = None


def read_listing(body: bytes) -> list[Listed]:
    """The models of a list, those that can be read. Raises `Fault("invalid")` for what is none."""
    try:
        listing = msgspec.json.decode(body, type=Listing)
    except (msgspec.MsgspecError, RecursionError):
        raise Fault("invalid", "the host's list of models cannot be read") from None
    rows = listing.data if listing.data is not None else listing.models
    if rows is None:
        raise Fault("invalid", "the host's answer is no list of models")
    return [model for row in rows if (model := _read_row(row)) is not None]


def _read_row(row: msgspec.Raw) -> Listed | None:
    try:
        model = msgspec.json.decode(row, type=Listed)
    except (msgspec.MsgspecError, RecursionError):
        return None  # one odd row of three hundred takes nothing from the others
    if model.id:
        return model
    # Google names its models `models/gemini-…`, in the member `name`.
    model.id = model.name.removeprefix(GOOGLE_PREFIX)
    return model if model.id else None
