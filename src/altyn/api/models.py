"""`GET /models` and `GET /models/{id}`: what is on sale, at the caller's prices."""

from altyn.api.authenticate import Doorkeeper
from altyn.api.request import Reply, Request, json_reply
from altyn.api.wire import Architecture, ModelCard, ModelList, Pricing
from altyn.catalog.pricebook import Rate
from altyn.errors import ModelNotFoundError
from altyn.gateway.desk import Desk
from altyn.gateway.offer import Offer, offer
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
        told = offer(
            goods,
            self._shelf(),
            self.desk.client.router,
            price_group=caller.account.price_group,
        )
        model, rate, ends = told.model, told.rate, told.retires_at
        return ModelCard(
            id=told.id,
            object="model",
            created=model.created,
            owned_by=model.vendor,
            name=told.named.name,
            description=told.describe(request.language),
            context_length=model.context_length,
            max_output_tokens=told.max_output_tokens,
            architecture=Architecture(model.input_modalities, model.output_modalities),
            supported_parameters=model.supported_parameters,
            pricing=self._pricing(rate) if rate is not None else None,
            available=self._is_available(told, caller),
            retires_at=None if ends is None else ends.isoformat(),
            replaced_by=told.replaced_by,
        )

    def _is_available(self, told: Offer, caller: Caller) -> bool:
        """Told as it is for this key: a test key is always answered, by the sandbox."""
        if caller.key.mode == "test":
            return told.rate is not None and bool(self._shelf().test_targets(told.model))
        return told.available

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
