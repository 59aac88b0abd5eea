"""A model on sale: what it is called, what it takes, how long it lives, what it costs us.

The models this project brings along are data (`data/models.json`); an operator's own come from a
file of the same form. Nothing here knows a route or a sell price.
"""

import re
from collections.abc import Iterable
from datetime import date
from functools import cached_property
from importlib import resources
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Raw, Struct, convert

from altyn.catalog.price import Price, PriceDecimals
from altyn.chat import Effort
from altyn.errors import OperatorError

SCHEMA = "altyn-catalog/1"
"""The form of a file of models. A file of another form is refused, not guessed at."""

Count = Annotated[int, Meta(ge=0, le=10**9)]
Length = Annotated[int, Meta(ge=1, le=10**9)]
Modality = Literal["text", "image", "file", "audio", "video"]
Parameter = Literal[
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "n",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",  # {"type": "json_object"}
    "structured_outputs",  # response_format {"type": "json_schema"}
    "reasoning",
    "reasoning_effort",
    "verbosity",
]
"""What a model may take, in OpenRouter's words."""

_MODEL_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.:-]+", re.ASCII)


class Document(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A part of the file. A misspelt field is an error: it would be a promise not kept."""


class Texts(Document, frozen=True, kw_only=True):
    """A text for people, in both languages of the product."""

    en: str = ""
    ru: str = ""

    def in_language(self, language: str) -> str:
        """The text in `en` or `ru`; the other one where only that was written."""
        return (self.ru or self.en) if language == "ru" else (self.en or self.ru)


class ReasoningRule(Document, frozen=True, kw_only=True):
    """Whether a model reasons, whether that can be switched off, and how hard it may be asked to.

    `efforts` None: not known, any word is passed on and the upstream decides. `budget_min` where a
    model reasons within a budget of at least so many tokens and fewer than `max_tokens`, and
    meanwhile takes no forced tool, no temperature and no `top_p`: Claude.
    """

    supported: bool = False
    mandatory: bool = False
    efforts: tuple[Effort, ...] | None = None
    budget_min: Count | None = None

    def takes_effort(self, effort: str) -> bool:
        if self.efforts is None:
            return not (self.mandatory and effort == "none")
        return effort in self.efforts


class Lifecycle(Document, frozen=True, kw_only=True):
    """The vendor's own dates. Another host may go on serving a model its vendor has retired."""

    released: date | None = None
    retires: date | None = None
    retired: date | None = None
    replaced_by: str | None = None
    note: str = ""


class Native(Document, frozen=True, kw_only=True):
    """How the model is called without OpenRouter.

    `provider` is the vendor's own API by the name we give it (its key is in PROVIDER_API_KEY);
    None when only other hosts or an own server serve it, under a name like `model`.
    """

    dialect: Literal["openai-chat", "openai-responses", "anthropic", "gemini", "sandbox"]
    provider: str | None = None
    model: str


class Cost(PriceDecimals, frozen=True, kw_only=True):
    """What the model costs us unless the operator says otherwise, and who says so.

    `as_of` is a date or a month. The prices count in `currency`, whatever the installation's is.
    """

    currency: str = "USD"
    source: str = ""
    as_of: str = ""


class Model(Document, frozen=True, kw_only=True, dict=True):
    """One model on sale.

    `context_length`: prompt and output together, in tokens. `max_output_tokens`: the most the
    model itself gives; where nobody publishes it, the context length. `max_tokens_cap`: the most a
    caller may ask for. The rest from `prompt_tokens_max` on bounds the tokens of a prompt before
    anyone has counted them: see `upstream/count.py` and `data/README.md`.
    """

    id: Annotated[str, Meta(max_length=200)]
    name: str
    vendor: str
    description: Texts = Texts()
    created: Annotated[int, Meta(ge=0)] = 0  # seconds since 1970
    context_length: Length
    max_output_tokens: Length
    max_tokens_cap: Length = 8192
    input_modalities: tuple[Modality, ...] = ("text",)
    output_modalities: tuple[Modality, ...] = ("text",)
    supported_parameters: tuple[Parameter, ...]
    temperature_max: Annotated[float, Meta(gt=0, le=2)] = 2.0
    # Some Claude models answer 400 when both are sent.
    top_p_excludes_temperature: bool = False
    reasoning: ReasoningRule = ReasoningRule()
    # The longest prompt any known host of the model takes, where that is more than we sell.
    prompt_tokens_max: Length | None = None
    image_tokens_max: Count = 0
    template_tokens: Count = 128
    tools_tokens: Count = 346
    # Otherwise the provider may write its cache, at that price, without being asked.
    cache_writes_on_request: bool = False
    lifecycle: Lifecycle = Lifecycle()
    native: Native | None = None
    openrouter_model: str | None = None
    # The dated name that OpenRouter's answers may carry instead.
    openrouter_canonical: str | None = None
    # Whether it was in OpenRouter's listing when the file was made; None: not known.
    openrouter_listed: bool | None = None
    cost: Cost | None = None

    @cached_property
    def takes(self) -> frozenset[str]:
        return frozenset(self.supported_parameters)

    @cached_property
    def hears(self) -> frozenset[str]:
        return frozenset(self.input_modalities)

    @cached_property
    def cost_price(self) -> Price | None:
        """What it costs us, in nanos of `cost.currency`; None: it has no price yet."""
        return None if self.cost is None else Price.from_per_million_decimals(self.cost)

    @cached_property
    def document(self) -> str:
        """The model as JSON, the form in which it is stored; `read_model` reads it."""
        return msgspec.json.encode(self).decode()

    @property
    def prompt_tokens_bound(self) -> int:
        """No prompt that some host accepts has more tokens than this."""
        return max(self.context_length, self.prompt_tokens_max or 0)

    @property
    def retires_at(self) -> date | None:
        """The day the vendor ends it, or ended it."""
        return self.lifecycle.retired or self.lifecycle.retires

    def is_retired(self, today: date) -> bool:
        """Whether its vendor no longer serves it."""
        return self.retires_at is not None and self.retires_at <= today


class ModelFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A file of models; each is read on its own, so that an error can name it."""

    schema: str
    models: list[Raw]


def builtin_models() -> list[Model]:
    """The models this project brings along, in the order of its public page."""
    return read_models(resources.files("altyn.catalog").joinpath("data/models.json").read_bytes())


def read_models(data: bytes) -> list[Model]:
    """Read a file of models. Raise `OperatorError`, one sentence naming model and field."""
    try:
        file = msgspec.json.decode(data, type=ModelFile)
    except msgspec.MsgspecError as error:
        raise OperatorError(f"This is not a file of models: {_sentence(error)}.") from None
    if file.schema != SCHEMA:
        raise OperatorError(f"The file's schema is '{file.schema}', expected '{SCHEMA}'.")
    models = [_read_entry(raw, number) for number, raw in enumerate(file.models, start=1)]
    _check_ids_differ(models)
    return models


def read_model(document: str) -> Model:
    """Read `Model.document`."""
    return _model_decoder.decode(document)


_model_decoder = msgspec.json.Decoder(Model)


def _read_entry(raw: Raw, number: int) -> Model:
    entry = msgspec.json.decode(raw)
    name = _name_of(entry, number)
    try:
        model = convert(entry, Model)
    except msgspec.ValidationError as error:
        raise OperatorError(f"{name}: {_sentence(error)}.") from None
    for sentence in _objections(model):
        raise OperatorError(f"{name}: {sentence}.")
    return model


def _name_of(entry: Any, number: int) -> str:
    if isinstance(entry, dict) and isinstance(entry.get("id"), str):
        return f"Model '{entry['id']}'"
    return f"Model number {number}"


def _sentence(error: msgspec.MsgspecError) -> str:
    """A library's message with the field first: `field 'cost.input': expected str, got int`."""
    text, _, path = str(error).replace("`$", "`").partition(" - at ")
    text = (text[0].lower() + text[1:]).replace("`", "'").replace("'", "")
    field = path.strip("`.")
    return f"field '{field}': {text}" if field else text


def _objections(model: Model) -> Iterable[str]:
    """What no type can say."""
    if not _MODEL_ID.fullmatch(model.id):
        yield "field 'id': expected vendor/name in letters, digits and . _ - :"
    if model.max_output_tokens > model.context_length:
        yield "field 'max_output_tokens': more than 'context_length'"
    if "text" not in model.hears:
        yield "field 'input_modalities': a chat needs text"
    if "image" in model.hears and not model.image_tokens_max:
        yield "field 'image_tokens_max': a model that sees images needs a bound for one"
    try:
        _ = model.cost_price
    except OperatorError as error:
        yield f"field 'cost': {str(error).removesuffix('.')}"


def _check_ids_differ(models: list[Model]) -> None:
    seen: set[str] = set()
    for model in models:
        if model.id in seen:
            raise OperatorError(f"Model '{model.id}' is in the file twice.")
        seen.add(model.id)
