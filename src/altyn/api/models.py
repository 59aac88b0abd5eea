"""`GET /models` and `GET /models/{id}`: what is on sale, at the caller's prices."""

from altyn.api.authenticate import Doorkeeper
from altyn.api.request import Reply, Request, json_reply
from altyn.api.usage import iso
from altyn.api.wire import Architecture, ModelCard, ModelList, Pricing
from altyn.catalog.load import Standing
from altyn.catalog.model import Model
from altyn.catalog.pricebook import Rate
from altyn.database.engine import now_ms
from altyn.errors import ModelNotFoundError
from altyn.gateway.desk import Desk
from altyn.gateway.shelf import Goods, Shelf
from altyn.keys.store import Caller
from altyn.money import format_per_token, format_short


class Models:
    def __init__(self, *, doorkeeper: Doorkeeper, desk: Desk, currency: str) -> None:
        self.doorkeeper = doorkeeper
        self.desk = desk
        self.currency = currency

    async def show_all(self, request: Request) -> Reply:
        """`GET /models`"""
        caller = await self.doorkeeper.authenticate(request, "models")
        shelf = self._shelf()
        cards = [self._card(goods, caller, request) for goods in shelf.goods.values()]
        return json_reply(ModelList("list", cards))

    async def show(self, request: Request, model_id: str) -> Reply:
        """`GET /models/{id}`"""
        caller = await self.doorkeeper.authenticate(request, "models")
        goods = self._shelf().goods.get(model_id)
        if goods is None:
            raise ModelNotFoundError(model=model_id[:100])
        return json_reply(self._card(goods, caller, request))

    def _shelf(self) -> Shelf:
        assert self.desk.shelf is not None
        return self.desk.shelf

    def _card(self, goods: Goods, caller: Caller, request: Request) -> ModelCard:
        model, name = goods.model, goods.name
        standing = self._shelf().catalog.standing(name)
        named = self._shelf().catalog.models[name]
        rate = self._shelf().catalog.find_rate(model.id, caller.account.price_group, now_ms())
        return ModelCard(
            id=name,
            object="model",
            created=model.created,
            owned_by=model.vendor,
            name=named.name,
            description=describe(goods, named, request.language),
            context_length=model.context_length,
            max_output_tokens=min(model.max_output_tokens, model.max_tokens_cap),
            architecture=Architecture(model.input_modalities, model.output_modalities),
            supported_parameters=model.supported_parameters,
            pricing=self._pricing(rate) if rate is not None else None,
            available=rate is not None and self._can_be_served(goods, caller),
            retires_at=_retires_at(named, standing),
            replaced_by=_replaced_by(goods, named, standing),
        )

    def _can_be_served(self, goods: Goods, caller: Caller) -> bool:
        """Told as it is for this key: a test key is always answered, by the sandbox."""
        if caller.key.mode == "test":
            return bool(self._shelf().test_targets(goods.model))
        router = self.desk.client.router
        return any(router.can_serve(target) for target in goods.targets)

    def _pricing(self, rate: Rate) -> Pricing:
        at = rate.price.bracket_at(0)
        return Pricing(
            currency=self.currency,
            prompt=format_per_token(at.input),
            completion=format_per_token(at.output),
            input_cache_read=format_per_token(at.cached_read),
            input_cache_write=format_per_token(at.cache_write_5m),
            request=format_short(rate.price.request),
            image=format_per_token(at.image),
        )


SERVED_AS = {
    "en": "Answered by {model}, at its price: {name} is no longer served. ",
    "ru": "Отвечает {model}, по своей цене: {name} больше не обслуживается. ",
}
RETIRED = {
    "en": "Retired on {day}. ",
    "ru": "Снята с обслуживания {day}. ",
}


def describe(goods: Goods, named: Model, language: str) -> str:
    """What a model is, after the truth about who answers to its name."""
    text = goods.model.description.in_language(language)
    if goods.model.id != goods.name:
        return SERVED_AS[language].format(model=goods.model.id, name=named.name) + text
    retired_at = goods.life.retired_at(now_ms())
    if retired_at is not None and not goods.targets:
        return RETIRED[language].format(day=iso(retired_at)[:10]) + text
    return text


def _replaced_by(goods: Goods, named: Model, standing: Standing) -> str | None:
    """Who answers already; else the operator's successor, or the vendor's."""
    if goods.model.id != goods.name:
        return goods.model.id
    return standing.replaced_by or named.lifecycle.replaced_by


def _retires_at(named: Model, standing: Standing) -> str | None:
    """The day of its end: the operator's, else its vendor's."""
    if standing.retires_at is not None:
        return iso(standing.retires_at)[:10]
    return None if named.retires_at is None else named.retires_at.isoformat()
