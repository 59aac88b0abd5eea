"""Why one request cost what it cost: its outcome in words, and its price line by line.

The words follow the table in `docs/explanation/who-pays.md`; the lines are made by the function
that billed, from the price row that the record names.
"""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct

from altyn.catalog.load import AppliedPrice, find_applied_price
from altyn.catalog.price import Line
from altyn.database.engine import Database
from altyn.money import TOKENS_PER_PRICE, Nanos, ceil_per_million
from altyn.outcome import Outcome
from altyn.usage.report import RecordRow, usage_of
from altyn.web.texts import N_
from altyn.web.words import places

PER_ONE = ("request", "web_search")


class Said(Struct, frozen=True):
    """An outcome as a customer reads it."""

    title: str
    why: str


OUTCOMES: dict[Outcome, Said] = {
    "charged": Said(
        N_("Charged for what was used"),
        N_(
            "The answer is complete and the provider reported its usage. You pay exactly that usage"
            " at the price that was agreed before the call."
        ),
    ),
    "charged_cancelled": Said(
        N_("Charged for what was used until you left"),
        N_(
            "You closed the connection before the end. The provider reported what the answer used"
            " all the same, and you pay exactly that: not what was held."
        ),
    ),
    "charged_estimated": Said(
        N_("Charged by our own count"),
        N_(
            "Nobody reported the usage of this answer. So we counted the prompt and what was"
            " delivered to you, eight bytes of text as one token, and never more than was held."
        ),
    ),
    "charged_capped": Said(
        N_("Charged up to what was held"),
        N_(
            "The usage came to more than was held before the call. You pay what was held; the rest"
            " is our loss, not yours."
        ),
    ),
    "free_refused": Said(
        N_("Free: the request was refused"),
        N_("The provider refused the request as wrong before it answered anything."),
    ),
    "free_upstream_error": Said(
        N_("Free: the provider failed"),
        N_("The provider did not begin to answer. A failure is never charged."),
    ),
    "free_broken": Said(
        N_("Free: the answer broke off"),
        N_(
            "The answer ended in the middle. What the provider takes for it is our loss: you cannot"
            " use half an answer, and do not pay for it."
        ),
    ),
    "free_empty": Said(
        N_("Free: the answer was empty"),
        N_("The provider ended without a word and without a reason. Nothing is charged for that."),
    ),
    "free_unknown": Said(
        N_("Free: nobody knows how it ended"),
        N_(
            "We were interrupted with the call under way, and the provider could not tell what"
            " became of it. What cannot be shown is not charged; the held money was given back."
        ),
    ),
    "free_test": Said(
        N_("Free: a test call"),
        N_("Calls with a test key are answered by the sandbox and never touch the balance."),
    ),
}

FINISHED: dict[str, str] = {
    "stop": N_("the model had said everything"),
    "length": N_("the token limit was reached, thinking included; that is charged as used"),
    "tool_calls": N_("the model called a tool"),
    "content_filter": N_("a safety filter stopped it; what was used until then is charged"),
    "error": N_("the provider reported an error"),
}

FAULTS: dict[str, str] = {
    "invalid_parameter": N_("A parameter was wrong. The answer to the call named it."),
    "context_length_exceeded": N_(
        "The prompt is longer than the model's window. Shorten it, or take a model with a larger"
        " one."
    ),
    "body_too_large": N_("The request is larger than the provider takes."),
    "model_unavailable": N_("No provider of this model could be reached. Try another model."),
    "overloaded": N_("The provider was overloaded. Try again a little later."),
    "upstream_timeout": N_("The provider did not answer in time. Try again."),
    "upstream_invalid_response": N_("The provider's answer could not be read. Try again."),
    "upstream_error": N_("The provider failed. Try again."),
    "internal_error": N_("We failed, and have written it down."),
}

KINDS: dict[str, str] = {
    "input": N_("Input"),
    "cached_read": N_("Input read from a cache"),
    "cache_write_5m": N_("Input written to a cache, 5 minutes"),
    "cache_write_1h": N_("Input written to a cache, 1 hour"),
    "audio_input": N_("Audio input"),
    "output": N_("Output"),
    "reasoning": N_("Reasoning"),
    "image": N_("Image output"),
    "request": N_("Per request"),
    "web_search": N_("Web search"),
}

TOKENS: dict[str, str] = {
    "input_uncached": N_("Input"),
    "cache_read": N_("Input read from a cache"),
    "cache_write_5m": N_("Input written to a cache, 5 minutes"),
    "cache_write_1h": N_("Input written to a cache, 1 hour"),
    "audio_input": N_("Audio input"),
    "output_text": N_("Output"),
    "reasoning": N_("Reasoning"),
    "image": N_("Image output"),
}


class Receipt(Struct, frozen=True, kw_only=True):
    """A charge as it was computed. `sum_millionths` of the lines is exact; `rounded_nanos` is it,
    rounded up once; `kept_nanos` is what a hold did not cover and nobody pays.
    """

    price: AppliedPrice
    lines: Sequence[Line]
    sum_millionths: int
    rounded_nanos: Nanos
    charge_nanos: Nanos

    @property
    def kept_nanos(self) -> Nanos:
        return self.rounded_nanos - self.charge_nanos

    @property
    def amounts(self) -> list[Decimal]:
        """The lines' amounts in nanos, exactly."""
        return [Decimal(line.amount_millionths).scaleb(-6) for line in self.lines]

    @property
    def places(self) -> int:
        """Decimals that write every amount of it."""
        finest = places((line.amount_millionths for line in self.lines), exponent=15)
        return max(finest, places([self.charge_nanos, self.rounded_nanos]))

    @property
    def is_rounded(self) -> bool:
        return self.rounded_nanos * TOKENS_PER_PRICE != self.sum_millionths


async def find_receipt(database: Database, row: RecordRow) -> Receipt | None:
    """How a record's charge was computed; None where nothing was charged, or by no price row."""
    usage = usage_of(row)
    if not row["charge_nanos"] or usage is None or row["price_id"] is None:
        return None
    applied = await find_applied_price(database, row["price_id"], row["markup_ppm"])
    if applied is None:
        return None
    lines = applied.price.explain(usage)
    millionths = sum(line.amount_millionths for line in lines)
    return Receipt(
        price=applied,
        lines=lines,
        sum_millionths=millionths,
        rounded_nanos=ceil_per_million(millionths),
        charge_nanos=row["charge_nanos"],
    )
