"""What is asked for, on which terms, and the most it can cost. Decided before anything is done."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from msgspec import Struct, structs

from altyn.catalog.accept import Accepted, accept
from altyn.catalog.model import Model
from altyn.catalog.price import Price
from altyn.catalog.pricebook import Rate
from altyn.catalog.route import Strategy
from altyn.chat import Chat, ChatBody, Usage
from altyn.database.engine import now_ms
from altyn.errors import (
    AltynError,
    InvalidParameterError,
    ModelNotAllowedError,
    ModelNotFoundError,
    ModelNotPricedError,
    ModelUnavailableError,
)
from altyn.gateway.shelf import Goods, Shelf
from altyn.keys.key import window_start
from altyn.keys.store import Caller
from altyn.ledger.moves import KeyWindow
from altyn.money import Nanos
from altyn.outcome import Terms
from altyn.upstream.connection import Patience
from altyn.upstream.count import estimated_tokens, input_bound, output_bound
from altyn.upstream.router import Target
from altyn.usage.record import Mode

NO_ROUTE_RETRY_S = 60

VARIANTS: dict[str, Strategy] = {"floor": "price", "nitro": "latency"}
"""Suffixes of a model's name that choose its route for one request, as OpenRouter's do."""

OTHER_VARIANTS = frozenset({"free", "online", "thinking", "exacto", "extended", "batch", "beta"})
"""OpenRouter's other suffixes. They change what is bought, so none is passed over in silence."""


class Order(Struct, kw_only=True):
    """One request, accepted: everything its attempt needs. Money in nanos, times in ms.

    `fallbacks` are the same request to other models, in order, under the same hold. `candidates`
    are the targets of all of them: nothing that is told to the caller may name one.
    """

    request_id: str
    caller: Caller
    name: str
    """The model as the caller asked for it: that is where the call is recorded."""
    model: Model
    """The model that serves it, at its price."""
    chat: Chat
    ignored: tuple[str, ...]
    targets: tuple[Target, ...]
    candidates: tuple[Target, ...]
    fastest: bool
    costs: Mapping[int, Price]
    patience: Patience
    rate: Rate
    terms: Terms
    input_bound: int
    cache_writes: bool
    audio: bool
    key_window: KeyWindow | None
    created_at: int
    fallbacks: "tuple[Order, ...]" = ()

    @property
    def mode(self) -> Mode:
        return self.caller.key.mode

    @property
    def hold_nanos(self) -> Nanos:
        return self.terms.hold_nanos

    def estimate(self, delivered_bytes: int) -> Usage:
        """Input and delivered output by our own count, for an answer whose usage nobody reports."""
        return Usage(
            input_uncached=estimated_tokens(self.input_bound),
            output_text=estimated_tokens(delivered_bytes),
        )

    def terms_at(self, target: Target | None) -> Terms:
        """What was agreed, with what this provider takes."""
        cost = None if target is None else self.costs.get(target.route_id)
        if cost is None or cost is self.terms.cost_price or self.terms.cost_price is None:
            return self.terms
        return structs.replace(self.terms, cost_price=cost)

    def affordable_max_tokens(self, available_nanos: Nanos) -> int | None:
        """The largest `max_tokens` that this much money covers, or None."""
        fits = [_affordable(order, available_nanos) for order in (self, *self.fallbacks)]
        least = [tokens for tokens in fits if tokens is not None]
        return min(least) if len(least) == len(fits) else None


def _affordable(order: Order, available_nanos: Nanos) -> int | None:
    fits = order.rate.price.affordable_output_tokens(
        available_nanos,
        input_tokens_bound=order.input_bound,
        n=order.chat.n,
        cache_writes=order.cache_writes,
        audio=order.audio,
    )
    if fits is None or fits <= output_bound(0):
        return None
    return min(fits - output_bound(0), order.model.max_tokens_cap)


class Wish(NamedTuple):
    """A request that is looked at, for each of the models it names."""

    caller: Caller
    body: ChatBody
    fields: dict[str, Any]
    request_id: str
    shelf: Shelf
    waits: "Waits"
    created_at: int


def take_order(
    caller: Caller,
    body: ChatBody,
    fields: dict[str, Any],
    *,
    request_id: str,
    shelf: Shelf,
    waits: "Waits",
) -> Order:
    """Accept a request or raise the `AltynError` that says why not. Nothing is charged or held."""
    wish = Wish(caller, body, fields, request_id, shelf, waits, now_ms())
    if not body.models:
        return _take_one(wish, *_get_goods(wish, body.model, "model"), "model")
    return _take_with_fallbacks(wish)


def _take_with_fallbacks(wish: Wish) -> Order:
    """The same request to each model that can take it, under one hold that covers any of them.

    A model that is not on sale, or not for this key, is a mistake of the caller's and refused; one
    that cannot serve this request is passed over, unless there is no other.
    """
    names = {wish.body.model: "model"}
    for index, name in enumerate(wish.body.models or ()):
        names.setdefault(name, f"models[{index}]")
    found = [(*_get_goods(wish, name, param), param) for name, param in names.items()]
    orders: list[Order] = []
    refusals: list[AltynError] = []
    for goods, strategy, param in found:
        try:
            orders.append(_take_one(wish, goods, strategy, param))
        except AltynError as refusal:
            refusals.append(refusal)
    if not orders:
        raise refusals[0]
    hold_nanos = max(order.hold_nanos for order in orders)
    candidates = tuple(target for order in orders for target in order.targets)
    for order in orders:
        order.terms = structs.replace(order.terms, hold_nanos=hold_nanos)
        order.candidates = candidates
    orders[0].fallbacks = tuple(orders[1:])
    return orders[0]


def _take_one(wish: Wish, goods: Goods, strategy: Strategy, param: str) -> Order:
    caller, shelf, created_at = wish.caller, wish.shelf, wish.created_at
    model = goods.model
    rate = shelf.catalog.find_rate(model.id, caller.account.price_group, created_at)
    if rate is None:
        raise ModelNotPricedError(param=param, model=model.id)
    accepted = accept(wish.body, wish.fields, model)
    test = caller.key.mode == "test"
    targets = shelf.test_targets(model) if test else goods.targets_by(strategy, created_at)
    if not targets:
        raise _nobody_serves(goods, param, created_at)
    bound = input_bound(accepted.chat, goods.rules)
    return Order(
        request_id=wish.request_id,
        caller=caller,
        name=goods.name,
        model=model,
        chat=accepted.chat,
        ignored=accepted.ignored,
        targets=targets,
        candidates=targets,
        fastest=strategy == "latency",
        costs=goods.costs,
        patience=wish.waits.reasoning if model.reasoning.supported else wish.waits.ordinary,
        rate=rate,
        terms=Terms(
            price=rate.price,
            # Nobody bills us for the sandbox, so nothing can be lost there.
            cost_price=None if _only_sandbox(targets) else rate.cost_price,
            hold_nanos=0 if test else _quote(rate, accepted, bound),
            context_length=model.context_length,
            mode=caller.key.mode,
        ),
        input_bound=bound,
        cache_writes=accepted.cache_writes,
        audio=accepted.audio,
        key_window=_key_window(caller, created_at),
        created_at=created_at,
    )


class Waits(Struct, frozen=True):
    """How long an upstream may take: models that think may be silent for longer."""

    ordinary: Patience
    reasoning: Patience


def _get_goods(wish: Wish, name: str, param: str) -> tuple[Goods, Strategy]:
    """What a name stands for, and how its route is chosen. Raises if it is not for this caller."""
    goods, strategy = _find_goods(wish.shelf, name, param)
    if wish.caller.models is not None and goods.name not in wish.caller.models:
        raise ModelNotAllowedError(param=param, model=goods.name)
    return goods, strategy


def _find_goods(shelf: Shelf, name: str, param: str) -> tuple[Goods, Strategy]:
    goods = shelf.goods.get(name)
    if goods is not None:
        return goods, goods.strategy
    base, _, variant = name.rpartition(":")
    goods = shelf.goods.get(base)
    if goods is not None and variant in VARIANTS:
        return goods, VARIANTS[variant]
    if goods is not None and variant in OTHER_VARIANTS:
        offered = ", ".join([base, *(f"{base}:{known}" for known in VARIANTS)])
        raise InvalidParameterError(param=param, reason="one_of", choices=offered)
    raise ModelNotFoundError(param=param, model=name[:100])


def _nobody_serves(goods: Goods, param: str, at_ms: int) -> AltynError:
    """A route is missing, which the operator can mend; or the model is gone for good."""
    retired_at = goods.life.retired_at(at_ms)
    if retired_at is None:
        return ModelUnavailableError(model=goods.name, retry_after_s=NO_ROUTE_RETRY_S)
    successor = goods.life.replaced_by
    return ModelNotFoundError(
        param=param,
        model=goods.name,
        reason="retired" if successor is None else "replaced",
        retired_at=datetime.fromtimestamp(retired_at // 1000, UTC).date().isoformat(),
        replaced_by=successor,
    )


def _only_sandbox(targets: tuple[Target, ...]) -> bool:
    return all(target.provider.dialect == "sandbox" for target in targets)


def _quote(rate: Rate, accepted: Accepted, bound: int) -> Nanos:
    return rate.price.quote(
        input_tokens_bound=bound,
        output_tokens_max=output_bound(accepted.chat.max_tokens),
        n=accepted.chat.n,
        cache_writes=accepted.cache_writes,
        audio=accepted.audio,
    )


def _key_window(caller: Caller, at_ms: int) -> KeyWindow | None:
    rules = caller.key.rules
    if rules.limit_nanos is None:
        return None
    return KeyWindow(caller.key.id, window_start(rules.limit_period, at_ms), rules.limit_nanos)
