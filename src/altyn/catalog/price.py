"""What a call costs. Exact in integers: tokens times nanos per million, rounded up once per call.

A price says what it wants said: input and output. A kind it leaves out costs what the nearest kind
costs: cached, heard and written input as input (written for an hour as for five minutes), reasoning
and images as output. A tier is a price of its own for long prompts and reprices the whole call,
output included.
"""

from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct, structs

from altyn.chat import Usage
from altyn.errors import InvalidAmountError, OperatorError
from altyn.money import (
    NANOS_MAX,
    TOKENS_PER_PRICE,
    Nanos,
    ceil_per_million,
    format_short,
    parse_nanos,
)

PRICE_MAX: Nanos = 10**15
"""The dearest price that can be set: one unit of currency per token. Any quote fits a BIGINT."""

PARTS_PER_MARKUP = 1_000_000
"""A markup is parts per million on top of the cost: 200_000 is 20 %."""

OUTPUT_TOKENS_MAX = 2**31 - 1
"""More output than any model gives."""

PerMillion = Annotated[Nanos, Meta(ge=0, le=NANOS_MAX)]
"""Nanos per million tokens."""


class Kinds(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Nanos per million tokens of each kind; None costs what its fallback costs."""

    input: PerMillion
    output: PerMillion
    cached_read: PerMillion | None = None
    cache_write_5m: PerMillion | None = None
    cache_write_1h: PerMillion | None = None
    audio_input: PerMillion | None = None
    reasoning: PerMillion | None = None
    image: PerMillion | None = None


class Tier(Kinds, frozen=True, kw_only=True):
    """The price of a whole call whose prompt is longer than `above_input_tokens`.

    The prompt counts with its cached and cache-written tokens. Not strict: the boundary itself is
    in the tier (xAI says so; OpenRouter and Google are strict). A kind left out falls back to the
    tier's own input or output: the cheaper one of the base price would give tokens away.
    """

    above_input_tokens: Annotated[int, Meta(ge=1)]
    strict: bool = True

    @property
    def from_input_tokens(self) -> int:
        return self.above_input_tokens + 1 if self.strict else self.above_input_tokens


class Bracket(Struct, frozen=True, gc=False):
    """A price as it applies to prompts of `from_tokens` to `up_to_tokens`: nothing left out."""

    from_tokens: int
    up_to_tokens: int
    input: Nanos
    cached_read: Nanos
    cache_write_5m: Nanos
    cache_write_1h: Nanos
    audio_input: Nanos
    output: Nanos
    reasoning: Nanos
    image: Nanos
    dearest_input: Nanos
    dearest_write: Nanos
    dearest_output: Nanos


class Line(Struct, frozen=True):
    """A line of a receipt.

    `price_nanos` is per million tokens, or for `request` and `web_search` for one.
    `amount_millionths` is exact, in millionths of a nano; `money.format_per_token` writes it.
    The lines' sum, rounded up once to a nano, is the charge.
    """

    kind: str
    quantity: int
    price_nanos: Nanos
    amount_millionths: int


class Price(Kinds, frozen=True, kw_only=True, dict=True):
    """What a model's tokens cost; the same form for what we pay and what the customer pays.

    `request` is nanos per call, `web_search` nanos per search. `cache_write_on_top` when tokens
    written to a cache are billed beside the same tokens as read or put in (Google's models at
    OpenRouter, recorded: 2168 in the prompt, 2161 read and the same 2161 written, 7 put in).
    """

    request: PerMillion = 0
    web_search: PerMillion = 0
    cache_write_on_top: bool = False
    tiers: tuple[Tier, ...] = ()

    def __post_init__(self) -> None:
        starts = [tier.from_input_tokens for tier in self.tiers]
        if any(later <= earlier for earlier, later in pairwise(starts)):
            raise OperatorError("The tiers of a price must rise, each above more tokens.")

    @classmethod
    def from_per_million_decimals(cls, decimals: "PriceDecimals") -> "Price":
        """Read decimal units per million tokens, exactly.

        Raise `InvalidAmountError`, or `OperatorError` if the tiers do not rise.
        """
        return cls(
            **_nanos_by_kind(decimals),
            request=_read_price(decimals.request),
            web_search=_read_price(decimals.web_search),
            cache_write_on_top=decimals.cache_write_on_top,
            tiers=tuple(
                Tier(
                    **_nanos_by_kind(tier),
                    above_input_tokens=tier.above_input_tokens,
                    strict=tier.strict,
                )
                for tier in decimals.tiers
            ),
        )

    @cached_property
    def document(self) -> str:
        """The price as JSON, the form in which it is stored; `read_price` reads it."""
        return msgspec.json.encode(self).decode()

    @cached_property
    def brackets(self) -> tuple[Bracket, ...]:
        """The price by length of prompt, from 0 up, without gaps."""
        kinds: tuple[Kinds, ...] = (self, *self.tiers)
        starts = [0, *(tier.from_input_tokens for tier in self.tiers)]
        ends = [*(start - 1 for start in starts[1:]), NANOS_MAX]
        return tuple(
            _bracket(kind, from_tokens=start, up_to_tokens=end)
            for kind, start, end in zip(kinds, starts, ends, strict=True)
        )

    def bracket_at(self, prompt_tokens: int) -> Bracket:
        """The prices that apply to the whole call when its prompt has this many tokens."""
        at = self.brackets[0]
        for longer in self.brackets[1:]:
            if prompt_tokens >= longer.from_tokens:
                at = longer
        return at

    def charge(self, usage: Usage) -> Nanos:
        """What this usage costs, exactly, rounded up once to a nano."""
        at = self.bracket_at(usage.input_tokens)
        millionths = (
            usage.input_uncached * at.input
            + usage.cache_read * at.cached_read
            + usage.cache_write_5m * at.cache_write_5m
            + usage.cache_write_1h * at.cache_write_1h
            + usage.audio_input * at.audio_input
            + usage.output_text * at.output
            + usage.reasoning * at.reasoning
            + usage.image * at.image
        )
        return ceil_per_million(millionths) + self.request + usage.web_searches * self.web_search

    def explain(self, usage: Usage) -> list[Line]:
        """The charge line by line, without the kinds that were not used."""
        at = self.bracket_at(usage.input_tokens)
        tokens = (
            ("input", usage.input_uncached, at.input),
            ("cached_read", usage.cache_read, at.cached_read),
            ("cache_write_5m", usage.cache_write_5m, at.cache_write_5m),
            ("cache_write_1h", usage.cache_write_1h, at.cache_write_1h),
            ("audio_input", usage.audio_input, at.audio_input),
            ("output", usage.output_text, at.output),
            ("reasoning", usage.reasoning, at.reasoning),
            ("image", usage.image, at.image),
        )
        singles = (
            ("request", 1 if self.request else 0, self.request),
            ("web_search", usage.web_searches, self.web_search),
        )
        lines = [Line(kind, count, price, count * price) for kind, count, price in tokens if count]
        return lines + [
            Line(kind, count, price, count * price * TOKENS_PER_PRICE)
            for kind, count, price in singles
            if count
        ]

    def quote(
        self,
        *,
        input_tokens_bound: int,
        output_tokens_max: int,
        n: int = 1,
        searches_max: int = 0,
        cache_writes: bool = True,
        audio: bool = True,
    ) -> Nanos:
        """The most a call can cost: no usage within these limits is charged more.

        The prompt has at most `input_tokens_bound` tokens of any kind, the answer
        `output_tokens_max` in each of `n` choices. Without `cache_writes` the provider writes no
        cache, without `audio` nothing is heard: only then may their prices be left out.
        """
        outputs = output_tokens_max * n
        millionths = 0
        # A shorter prompt than the bound may be in a dearer bracket: each one in reach counts.
        for inputs, dearest_output in self._reachable(
            input_tokens_bound, cache_writes=cache_writes, audio=audio
        ):
            millionths = max(millionths, inputs + outputs * dearest_output)
        return ceil_per_million(millionths) + self.request + searches_max * self.web_search

    def affordable_output_tokens(
        self,
        available: Nanos,
        *,
        input_tokens_bound: int,
        n: int = 1,
        searches_max: int = 0,
        cache_writes: bool = True,
        audio: bool = True,
        at_most: int = OUTPUT_TOKENS_MAX,
    ) -> int | None:
        """The largest `output_tokens_max` whose quote fits into `available`, or None."""
        fees = self.request + searches_max * self.web_search
        budget = (available - fees) * TOKENS_PER_PRICE
        fits = at_most
        for inputs, dearest_output in self._reachable(
            input_tokens_bound, cache_writes=cache_writes, audio=audio
        ):
            if budget < inputs:
                return None
            if dearest_output:
                fits = min(fits, (budget - inputs) // (dearest_output * n))
        return fits or None

    def _reachable(
        self, input_tokens_bound: int, *, cache_writes: bool, audio: bool
    ) -> Iterator[tuple[int, Nanos]]:
        """For each bracket in reach: its dearest prompt in millionths, its dearest output."""
        for at in self.brackets:
            if at.from_tokens > input_tokens_bound:
                return
            dearest = at.dearest_input
            if audio and at.audio_input > dearest:
                dearest = at.audio_input
            on_top = 0
            if cache_writes and self.cache_write_on_top:
                # Not a part of the prompt's length: a short prompt's bracket does not bound them.
                on_top = input_tokens_bound * at.dearest_write
            elif cache_writes and at.dearest_write > dearest:
                dearest = at.dearest_write
            inputs = min(input_tokens_bound, at.up_to_tokens) * dearest
            yield inputs + on_top, at.dearest_output

    def marked_up(self, parts_per_million: int) -> "Price":
        """The cost with a markup on top, each price rounded up to a nano.

        Raise `OperatorError` on a discount of more than everything.
        """
        if parts_per_million < -PARTS_PER_MARKUP:
            raise OperatorError("A markup cannot be below -100 %: the price would be negative.")
        return structs.replace(
            self,
            **_marked_up_kinds(self, parts_per_million),
            request=_marked_up(self.request, parts_per_million),
            web_search=_marked_up(self.web_search, parts_per_million),
            tiers=tuple(
                structs.replace(tier, **_marked_up_kinds(tier, parts_per_million))
                for tier in self.tiers
            ),
        )

    def dearest(self) -> Nanos:
        """The largest figure in it."""
        figures: list[Nanos] = [getattr(at, kind) for at in self.brackets for kind in TOKEN_KINDS]
        return max(*figures, self.request, self.web_search)

    def is_below(self, cost: "Price") -> bool:
        """Whether some call would be sold for less than it costs us."""
        starts = {at.from_tokens for at in (*self.brackets, *cost.brackets)}
        return (
            self.request < cost.request
            or self.web_search < cost.web_search
            or any(_is_cheaper(self.bracket_at(start), cost.bracket_at(start)) for start in starts)
        )


def read_price(document: str | bytes) -> Price:
    """Read `Price.document`."""
    return _price_decoder.decode(document)


_price_decoder = msgspec.json.Decoder(Price)


class KindDecimals(
    Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True
):
    """Prices as people write them: decimal units of currency per million tokens."""

    input: str
    output: str
    cached_read: str | None = None
    cache_write_5m: str | None = None
    cache_write_1h: str | None = None
    audio_input: str | None = None
    reasoning: str | None = None
    image: str | None = None


class TierDecimals(KindDecimals, frozen=True, kw_only=True):
    """See `Tier`."""

    above_input_tokens: Annotated[int, Meta(ge=1)]
    strict: bool = True


class PriceDecimals(KindDecimals, frozen=True, kw_only=True):
    """See `Price`; `request` and `web_search` are units of currency for one."""

    request: str = "0"
    web_search: str = "0"
    cache_write_on_top: bool = False
    tiers: tuple[TierDecimals, ...] = ()


TOKEN_KINDS = KindDecimals.__struct_fields__
"""The kinds of token that have a price of their own."""


def decimals(price: Price) -> dict[str, Any]:
    """A price as people write it: decimal units per million tokens, what was left out left out."""
    written: dict[str, Any] = _kind_decimals(price)
    for fee in ("request", "web_search"):
        nanos: Nanos = getattr(price, fee)
        if nanos:
            written[fee] = format_short(nanos)
    if price.cache_write_on_top:
        written["cache_write_on_top"] = True
    if price.tiers:
        written["tiers"] = [
            {
                "above_input_tokens": tier.above_input_tokens,
                **({} if tier.strict else {"strict": False}),
                **_kind_decimals(tier),
            }
            for tier in price.tiers
        ]
    return written


def _kind_decimals(kinds: Kinds) -> dict[str, str]:
    nanos = {kind: getattr(kinds, kind) for kind in TOKEN_KINDS}
    return {kind: format_short(price) for kind, price in nanos.items() if price is not None}


def _nanos_by_kind(decimals: KindDecimals) -> dict[str, Nanos]:
    texts = {kind: getattr(decimals, kind) for kind in TOKEN_KINDS}
    return {kind: _read_price(text) for kind, text in texts.items() if text is not None}


def _read_price(text: str) -> Nanos:
    nanos = parse_nanos(text)
    if not 0 <= nanos <= PRICE_MAX:
        raise InvalidAmountError(text)
    return nanos


def _marked_up_kinds(kinds: Kinds, parts_per_million: int) -> dict[str, Nanos]:
    prices = {kind: getattr(kinds, kind) for kind in TOKEN_KINDS}
    return {
        kind: _marked_up(price, parts_per_million)
        for kind, price in prices.items()
        if price is not None
    }


def _marked_up(price: Nanos, parts_per_million: int) -> Nanos:
    return -(-price * (PARTS_PER_MARKUP + parts_per_million) // PARTS_PER_MARKUP)


def _is_cheaper(ours: Bracket, theirs: Bracket) -> bool:
    return any(getattr(ours, kind) < getattr(theirs, kind) for kind in TOKEN_KINDS)


def _or(price: Nanos | None, fallback: Nanos) -> Nanos:
    return fallback if price is None else price


def _bracket(kinds: Kinds, *, from_tokens: int, up_to_tokens: int) -> Bracket:
    cached_read = _or(kinds.cached_read, kinds.input)
    write_5m = _or(kinds.cache_write_5m, kinds.input)
    write_1h = _or(kinds.cache_write_1h, write_5m)
    reasoning = _or(kinds.reasoning, kinds.output)
    image = _or(kinds.image, kinds.output)
    return Bracket(
        from_tokens=from_tokens,
        up_to_tokens=up_to_tokens,
        input=kinds.input,
        cached_read=cached_read,
        cache_write_5m=write_5m,
        cache_write_1h=write_1h,
        audio_input=_or(kinds.audio_input, kinds.input),
        output=kinds.output,
        reasoning=reasoning,
        image=image,
        dearest_input=max(kinds.input, cached_read),
        dearest_write=max(write_5m, write_1h),
        dearest_output=max(kinds.output, reasoning, image),
    )
