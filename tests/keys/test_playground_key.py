"""The key of a playground: one for an account, found by words that open nothing."""

import asyncio

import pytest

from altyn.keys.key import parse
from altyn.keys.playground import open_playground
from altyn.keys.store import KeyRules, change_key, revoke_key
from fakes.gateway import Customer, Gateway


@pytest.fixture
def customer(gateway: Gateway) -> Customer:
    return gateway.add_customer()


def open_it(gateway: Gateway, customer: Customer, *, times: int = 1) -> set[int]:
    """The ids of the keys that were used, opened so many times at once."""

    async def open_all() -> list[int]:
        callers = await asyncio.gather(
            *(
                open_playground(
                    gateway.app.database,
                    account_id=customer.account_id,
                    name="Playground",
                    limit_nanos=5_000_000_000,
                    pepper=gateway.app.seal.pepper,
                )
                for _ in range(times)
            )
        )
        return [caller.key.id for caller in callers]

    return set(gateway.run(open_all()))


def test_an_account_has_one_whoever_comes_first(gateway: Gateway, customer: Customer) -> None:
    first = open_it(gateway, customer, times=5)

    assert len(first) == 1
    assert open_it(gateway, customer) == first
    assert open_it(gateway, gateway.add_customer()).isdisjoint(first)


def test_it_has_its_limit_and_no_secret(gateway: Gateway, customer: Customer) -> None:
    (key_id,) = open_it(gateway, customer)

    ((limit, period, prefix, last_four),) = gateway.read(
        "SELECT limit_nanos, limit_period, prefix, last_four FROM keys WHERE id = $1", key_id
    )
    assert (limit, period) == (5_000_000_000, "day")
    assert parse(f"{prefix}{last_four}") is None


def test_one_that_was_revoked_or_has_expired_is_followed_by_another(
    gateway: Gateway, customer: Customer
) -> None:
    (first,) = open_it(gateway, customer)
    gateway.write(lambda tx: revoke_key(tx, first))
    (second,) = open_it(gateway, customer)
    gateway.write(
        lambda tx: change_key(
            tx, second, account_id=customer.account_id, name="x", rules=KeyRules(expires_at=1)
        )
    )

    assert open_it(gateway, customer).isdisjoint({first, second})
