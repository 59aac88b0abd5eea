"""Orders without a network: a shelf of the built-in models, and callers made up on the spot."""

from typing import Any

from altyn.catalog.load import Catalog
from altyn.catalog.model import Model, builtin_models
from altyn.catalog.price import Price
from altyn.catalog.pricebook import PriceRow
from altyn.catalog.route import Route
from altyn.chat import ChatBody, UserMessage
from altyn.gateway.order import Order, Waits, take_order
from altyn.gateway.shelf import Shelf
from altyn.keys.store import Account, Caller, Key, KeyRules
from altyn.upstream.connection import Patience
from altyn.upstream.provider import Provider

ORDINARY, REASONING = Patience(1, 2, 3), Patience(1, 20, 3)
PRICE = Price(input=1_000_000, output=2_000_000)


def make_provider(number: int, name: str, dialect: str, url: str) -> Provider:
    secret = None if dialect == "sandbox" else "sk-of-the-operator"
    return Provider(
        id=number, name=name, dialect=dialect, base_url=url, secret=secret, proxy_url=None
    )


SANDBOX = make_provider(1, "sandbox", "sandbox", "sandbox:")
VENDOR = make_provider(2, "vendor", "openai-chat", "https://api.vendor.test/v1")


def models() -> list[Model]:
    found = builtin_models()
    return [each[0] if isinstance(each, tuple) else each for each in found]


def make_shelf(*, priced: bool = True, routed: bool = True, sandbox: bool = True) -> Shelf:
    rows = [
        PriceRow(
            id=number,
            model_id=model.id,
            kind="cost",
            price_group=None,
            effective_from=0,
            price=PRICE,
            source=None,
        )
        for number, model in enumerate(models(), 1)
    ]
    routes = [
        Route(
            id=number,
            model_id=model.id,
            provider_id=VENDOR.id,
            provider=VENDOR.name,
            upstream_model=f"their-{number}",
            dialect=VENDOR.dialect,
            priority=100,
            weight=1,
        )
        for number, model in enumerate(models(), 1)
    ]
    catalog = Catalog(models(), rows if priced else [], [], routes if routed else [])
    return Shelf(catalog, [SANDBOX, VENDOR] if sandbox else [VENDOR])


def make_caller(mode: str = "live", **rules: Any) -> Caller:
    key = Key(
        id=7,
        account_id=3,
        name="k",
        mode=mode,
        prefix="sk_live_0000",
        last_four="0000",
        created_at=0,
        revoked_at=None,
        rules=KeyRules(**rules),
    )
    account = Account(
        id=3,
        frozen=False,
        price_group=None,
        requests_per_minute=None,
        tokens_per_minute=None,
        parallel_requests=None,
    )
    allowed = frozenset(rules["models"]) if rules.get("models") is not None else None
    return Caller(key=key, account=account, models=allowed, networks=None)


def take(*, caller: Caller | None = None, shelf: Shelf | None = None, **fields: Any) -> Order:
    """`take(model="openai/gpt-5", caller=…, shelf=…, max_tokens=5)`"""
    sent = {
        "model": "sandbox/echo",
        "messages": [{"role": "user", "content": "hello"}],
        **fields,
    }
    known = {name: value for name, value in fields.items() if name in ChatBody.__struct_fields__}
    body = ChatBody(**{"model": sent["model"], "messages": [UserMessage("hello")], **known})
    return take_order(
        caller or make_caller(),
        body,
        sent,
        request_id="r1",
        shelf=shelf or make_shelf(),
        waits=Waits(ORDINARY, REASONING),
    )
