"""What is on sale now, who serves it, and in which order they are asked."""

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from altyn.catalog.load import Catalog
from altyn.catalog.model import Model
from altyn.catalog.price import Price
from altyn.catalog.route import Route, Strategy
from altyn.chat import Usage
from altyn.database.engine import now_ms
from altyn.gateway.lifespan import Lifespan, lifespan
from altyn.money import Nanos
from altyn.upstream.count import CountRules
from altyn.upstream.provider import Provider
from altyn.upstream.router import Target

SANDBOX_MODEL = "sandbox/"
SANDBOX_DEFAULT = "echo"
TYPICAL = Usage(input_uncached=3000, output_text=1000)
"""The call by which the costs of routes are compared."""


class Goods(Struct, frozen=True, kw_only=True):
    """A name on sale now: the model that answers to it, and who can serve that one.

    `name` is what callers ask for. It is the model's own, unless the operator has put another model
    in its place: then that one is served, priced and named in the answer. `cheapest` is the same
    life with the cheapest route first. `costs` by route: what each provider takes, where anybody
    has said so.
    """

    name: str
    model: Model
    rules: CountRules
    life: Lifespan
    cheapest: Lifespan
    strategy: Strategy
    costs: Mapping[int, Price]

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.life.targets_at(now_ms())

    def targets_by(self, strategy: Strategy, at_ms: int) -> tuple[Target, ...]:
        """Who can serve at a moment, in the order of a strategy."""
        life = self.cheapest if strategy == "price" else self.life
        return life.targets_at(at_ms)


class Shelf:
    """Everything that can be sold, prepared once for each state of the catalog.

    A drained provider is not on it: nothing new goes there.
    """

    def __init__(
        self,
        catalog: Catalog,
        providers: Sequence[Provider],
        *,
        strategy: Strategy = "priority",
    ) -> None:
        self.catalog = catalog
        self.providers = {provider.name: provider for provider in providers}
        self._serving = {one.id: one for one in providers if one.drained_at is None}
        self.goods = {
            name: self._goods(name, model, strategy)
            for name in catalog.models
            # What is served as a model that was taken off sale is off sale too.
            if (model := catalog.models.get(catalog.serving(name))) is not None
        }
        sandbox = [one for one in self._serving.values() if one.dialect == "sandbox"]
        self.sandbox = sandbox[0] if sandbox else None

    def all_targets(self) -> Iterable[Target]:
        """Every route on it."""
        return (target for goods in self.goods.values() for target in goods.targets)

    def test_targets(self, model: Model) -> tuple[Target, ...]:
        """Where a test key's call goes, whatever model it names: never to a vendor."""
        if self.sandbox is None:
            return ()
        own = model.id.removeprefix(SANDBOX_MODEL) if model.id.startswith(SANDBOX_MODEL) else None
        return (Target(route_id=0, provider=self.sandbox, upstream_model=own or SANDBOX_DEFAULT),)

    def _goods(self, name: str, model: Model, strategy: Strategy) -> Goods:
        catalog, serving, at_ms = self.catalog, self._serving, now_ms()
        routes = [one for one in catalog.routes.get(model.id, ()) if one.provider_id in serving]
        standing = catalog.standing(model.id)
        costs = {
            route.id: cost
            for route in routes
            if (cost := catalog.prices.find_cost(model.id, route.provider, at_ms)) is not None
        }
        return Goods(
            name=name,
            model=model,
            rules=_count_rules(model),
            life=lifespan(model, standing, _by_priority(routes, serving)),
            cheapest=lifespan(model, standing, _by_cost(routes, serving, costs)),
            strategy=catalog.strategies.get(model.id, strategy),
            costs=costs,
        )


def _by_priority(routes: Sequence[Route], providers: Mapping[int, Provider]) -> tuple[Target, ...]:
    ordered = sorted(routes, key=lambda route: route.priority)
    return tuple(_target(route, providers, route.priority) for route in ordered)


def _by_cost(
    routes: Sequence[Route], providers: Mapping[int, Provider], costs: Mapping[int, Price]
) -> tuple[Target, ...]:
    """The cheapest first; equals in cost by priority, equals in both by weight."""
    ranks = {route.id: (_typical_cost(costs.get(route.id)), route.priority) for route in routes}
    tiers = {rank: tier for tier, rank in enumerate(sorted(set(ranks.values())))}
    ordered = sorted(routes, key=lambda route: ranks[route.id])
    return tuple(_target(route, providers, tiers[ranks[route.id]]) for route in ordered)


def _typical_cost(price: Price | None) -> Nanos:
    return 0 if price is None else price.charge(TYPICAL)


def _target(route: Route, providers: Mapping[int, Provider], tier: int) -> Target:
    return Target(
        route_id=route.id,
        provider=providers[route.provider_id],
        upstream_model=route.upstream_model,
        tier=tier,
        weight=route.weight,
        dialect=route.dialect,
    )


def _count_rules(model: Model) -> CountRules:
    return CountRules(
        prompt_tokens_max=model.prompt_tokens_bound,
        image_tokens_max=model.image_tokens_max,
        template_tokens=model.template_tokens,
        tools_tokens=model.tools_tokens,
    )
