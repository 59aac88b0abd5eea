"""A shop for the stories: a gateway that sells one model of one vendor, and somebody with money."""

from itertools import count
from typing import NamedTuple

from calls import MODEL

from fakes.gateway import Customer, Gateway
from fakes.openai_server import FakeOpenAI

NUMBERS = count(1)
UPSTREAM_MODEL = "vendor/sonnet-as-they-call-it"
UPSTREAM_KEY = "sk-canary-0123456789abcdef"


class Shop(NamedTuple):
    """A gateway that sells one model of one vendor, and somebody with money."""

    gateway: Gateway
    customer: Customer
    vendor: FakeOpenAI


def open_shop(gateway: Gateway, vendor: FakeOpenAI, balance: str = "10") -> Shop:
    gateway.add_upstream(
        # The name, not the number: so that it can be told from the gateway's own address.
        vendor.base_url.replace("127.0.0.1", "localhost"),
        MODEL,
        name=f"cloud-{next(NUMBERS)}",
        secret=vendor.key,
        upstream_model=UPSTREAM_MODEL,
    )
    return Shop(gateway, gateway.add_customer(balance), vendor)
