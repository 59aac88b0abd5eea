"""A host's list as catalog and price book write it: `altyn provider import`."""

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, get_args

import msgspec

from altyn.catalog.model import Modality, Model, Parameter
from altyn.catalog.price import PriceDecimals
from altyn.errors import OperatorError
from altyn.upstream.listing import Listed

PER_MILLION = Decimal(1_000_000)
NANO = Decimal("0.000000001")
KINDS = {
    "prompt": "input",
    "completion": "output",
    "input_cache_read": "cached_read",
    "input_cache_write": "cache_write_5m",
    "input_cache_write_1h": "cache_write_1h",
    "audio": "audio_input",
    "internal_reasoning": "reasoning",
}
"""OpenRouter's names for what we price by the million tokens."""

FEES = {"request": "request", "web_search": "web_search"}


def read_cost(pricing: Mapping[str, Any] | None) -> PriceDecimals | None:
    """What a listed model costs, per million tokens; None where the list does not say it.

    Raises `OperatorError` for a price that is no amount. A host's `discount` is taken off. What
    does not fit nine decimals is rounded up: a cost is never understated.
    """
    if not pricing or "prompt" not in pricing or "completion" not in pricing:
        return None
    share = 1 - _decimal(pricing.get("discount", 0))
    kinds = _amounts(pricing, KINDS, PER_MILLION * share)
    if kinds is None:
        return None
    tiers = [
        {
            **kinds,
            **(_amounts(override, KINDS, PER_MILLION * share) or {}),
            "above_input_tokens": override["min_prompt_tokens"],
        }
        for override in pricing.get("overrides") or ()
        if isinstance(override, dict) and isinstance(override.get("min_prompt_tokens"), int)
    ]
    fees = _amounts(pricing, FEES, share) or {}
    return msgspec.convert({**kinds, **fees, "tiers": tiers}, PriceDecimals)


def _amounts(
    pricing: Mapping[str, Any], names: Mapping[str, str], factor: Decimal
) -> dict[str, str] | None:
    amounts = {}
    for theirs, ours in names.items():
        if pricing.get(theirs) is None:
            continue
        amount = _decimal(pricing[theirs])
        if amount < 0:
            return None  # "-1": it depends on what is asked
        # 0 beside a real price is a kind that is not billed apart, not one that is free.
        if amount or ours in ("input", "output"):
            amounts[ours] = f"{(amount * factor).quantize(NANO, ROUND_CEILING).normalize():f}"
    return amounts


def _decimal(text: Any) -> Decimal:
    try:
        number = Decimal(str(text))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number) > PER_MILLION:
        raise OperatorError(f"The host's list holds a price that is no amount: '{text!s:.40}'.")
    return number


def as_model(listed: Listed, *, source: str) -> Model:
    """A model of the list as one of the catalog, with its cost.

    Raises `OperatorError` where the list says too little to sell it safely: without the length of
    the context there is no bound for a hold.
    """
    if not listed.context_length or listed.context_length < 1:
        raise OperatorError(
            f"The list does not say how long the context of {listed.id} is: write it into a file"
            " for 'altyn catalog import'."
        )
    context = listed.context_length
    longest = listed.top_provider.max_completion_tokens or context
    inputs = [kind for kind in listed.architecture.input_modalities if kind in get_args(Modality)]
    cost = read_cost(listed.pricing)
    entry: dict[str, Any] = {
        "id": listed.id,
        "name": listed.name or listed.id,
        "vendor": listed.id.partition("/")[0],
        "description": {"en": listed.description[:2000]},
        "created": max(listed.created or 0, 0),
        "context_length": context,
        "max_output_tokens": min(longest, context),
        "input_modalities": inputs or ["text"],
        "supported_parameters": [
            name for name in listed.supported_parameters if name in get_args(Parameter)
        ],
        # No image can be more than the context that it has to fit into.
        "image_tokens_max": context if "image" in inputs else 0,
    }
    if cost is not None:
        entry["cost"] = {**msgspec.to_builtins(cost), "currency": "USD", "source": source}
    try:
        return msgspec.convert(entry, Model)
    except msgspec.ValidationError as error:
        raise OperatorError(f"{listed.id} cannot be taken into the catalog: {error}.") from None
