"""What is asked for, on which terms, and the most it can cost. Decided before anything is done."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct

from altyn.catalog.accept import Accepted, accept
from altyn.catalog.load import Catalog
from altyn.catalog.model import Model
from altyn.catalog.pricebook import Rate
from altyn.chat import Chat, ChatBody, Usage
from altyn.database.engine import now_ms
from altyn.errors import (
    AltynError,
    ModelNotAllowedError,
    ModelNotFoundError,
    ModelNotPricedError,
    ModelUnavailableError,
)
from altyn.gateway.lifespan import Lifespan, lifespan
from altyn.keys.key import window_start
from altyn.keys.store import Caller
from altyn.ledger.moves import KeyWindow
from altyn.money import Nanos
from altyn.outcome import Terms
from altyn.upstream.connection import Patience
from altyn.upstream.count import CountRules, estimated_tokens, input_bound, output_bound
from altyn.upstream.provider import Provider
from altyn.upstream.router import Target
from altyn.usage.record import Mode

SANDBOX_MODEL = "sandbox/"
SANDBOX_DEFAULT = "echo"
NO_ROUTE_RETRY_S = 60


class Goods(Struct, frozen=True, kw_only=True):
    """A name on sale now: the model that answers to it, and who can serve that one.

    `name` is what callers ask for. It is the model's own, unless the operator has put another model
    in its place: then that one is served, priced and named in the answer.
    """

    name: str
    model: Model
    rules: CountRules
    life: Lifespan

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.life.targets_at(now_ms())


class Shelf:
    """Everything that can be sold, prepared once for each state of the catalog."""

    def __init__(self, catalog: Catalog, providers: Sequence[Provider]) -> None:
        self.catalog = catalog
        self.providers = {provider.name: provider for provider in providers}
        by_id = {provider.id: provider for provider in providers}
        self.goods = {
            name: Goods(
                name=name,
                model=model,
                rules=_count_rules(model),
                life=lifespan(
                    model,
                    catalog.standing(model.id),
                    [
                        Target(
                            route_id=route.id,
                            provider=by_id[route.provider_id],
                            upstream_model=route.upstream_model,
                            priority=route.priority,
                            weight=route.weight,
                            dialect=route.dialect,
                        )
                        for route in catalog.routes.get(model.id, ())
                    ],
                ),
            )
            for name in catalog.models
            # What is served as a model that was taken off sale is off sale too.
            if (model := catalog.models.get(catalog.serving(name))) is not None
        }
        sandbox = [provider for provider in providers if provider.dialect == "sandbox"]
        self.sandbox = sandbox[0] if sandbox else None

    def test_targets(self, model: Model) -> tuple[Target, ...]:
        """Where a test key's call goes, whatever model it names: never to a vendor."""
        if self.sandbox is None:
            return ()
        own = model.id.removeprefix(SANDBOX_MODEL) if model.id.startswith(SANDBOX_MODEL) else None
        return (Target(route_id=0, provider=self.sandbox, upstream_model=own or SANDBOX_DEFAULT),)


class Order(Struct, kw_only=True):
    """One request, accepted: everything its attempt needs. Money in nanos, times in ms."""

    request_id: str
    caller: Caller
    name: str
    """The model as the caller asked for it: that is where the call is recorded."""
    model: Model
    """The model that serves it, at its price."""
    chat: Chat
    ignored: tuple[str, ...]
    targets: tuple[Target, ...]
    patience: Patience
    rate: Rate
    terms: Terms
    input_bound: int
    cache_writes: bool
    audio: bool
    key_window: KeyWindow | None
    created_at: int

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

    def affordable_max_tokens(self, available_nanos: Nanos) -> int | None:
        """The largest `max_tokens` that this much money covers, or None."""
        fits = self.rate.price.affordable_output_tokens(
            available_nanos,
            input_tokens_bound=self.input_bound,
            n=self.chat.n,
            cache_writes=self.cache_writes,
            audio=self.audio,
        )
        if fits is None or fits <= output_bound(0):
            return None
        return min(fits - output_bound(0), self.model.max_tokens_cap)


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
    goods = _get_goods(shelf, body.model)
    model = goods.model
    if caller.models is not None and goods.name not in caller.models:
        raise ModelNotAllowedError(param="model", model=goods.name)
    created_at = now_ms()
    rate = shelf.catalog.find_rate(model.id, caller.account.price_group, created_at)
    if rate is None:
        raise ModelNotPricedError(param="model", model=model.id)
    accepted = accept(body, fields, model)
    test = caller.key.mode == "test"
    targets = shelf.test_targets(model) if test else goods.life.targets_at(created_at)
    if not targets:
        raise _nobody_serves(goods, created_at)
    bound = input_bound(accepted.chat, goods.rules)
    return Order(
        request_id=request_id,
        caller=caller,
        name=goods.name,
        model=model,
        chat=accepted.chat,
        ignored=accepted.ignored,
        targets=targets,
        patience=waits.reasoning if model.reasoning.supported else waits.ordinary,
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


def _get_goods(shelf: Shelf, model_id: str) -> Goods:
    goods = shelf.goods.get(model_id)
    if goods is None:
        raise ModelNotFoundError(param="model", model=model_id[:100])
    return goods


def _nobody_serves(goods: Goods, at_ms: int) -> AltynError:
    """A route is missing, which the operator can mend; or the model is gone for good."""
    retired_at = goods.life.retired_at(at_ms)
    if retired_at is None:
        return ModelUnavailableError(model=goods.name, retry_after_s=NO_ROUTE_RETRY_S)
    successor = goods.life.replaced_by
    return ModelNotFoundError(
        param="model",
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


def _count_rules(model: Model) -> CountRules:
    return CountRules(
        prompt_tokens_max=model.prompt_tokens_bound,
        image_tokens_max=model.image_tokens_max,
        template_tokens=model.template_tokens,
        tools_tokens=model.tools_tokens,
    )
