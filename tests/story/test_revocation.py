"""A key that was revoked makes no call a second later: on this node, and on every other."""

import asyncio
import time
from pathlib import Path

import pytest
from calls import chat, exact

from altyn import app
from altyn.database.engine import StoreUnavailableError
from altyn.keys.store import revoke_key
from fakes.gateway import Customer, Gateway
from fakes.postgres import TemporaryPostgres

WITHIN_S = 1.0
GIVE_UP_S = 10.0


def revoke(gateway: Gateway, customer: Customer) -> float:
    """As another process would: nobody tells the gateway. Returns the moment it was true."""
    gateway.run(gateway.app.database.write(lambda tx: revoke_key(tx, customer.key_id)))
    return time.monotonic()


def last_accepted_s(gateway: Gateway, key: str, since: float) -> float:
    """How long after *since* the last call began that was still accepted."""
    last_s = 0.0
    while time.monotonic() - since < GIVE_UP_S:
        began_s = time.monotonic() - since
        answer = chat(gateway, key, model="sandbox/echo")
        if answer.status_code == 401:
            assert exact(answer)["error"]["code"] == "revoked_api_key"
            return last_s
        assert answer.status_code == 200
        last_s = began_s
    raise AssertionError("the key still works")


def test_a_revoked_key_is_refused_within_a_second(gateway: Gateway) -> None:
    customer = gateway.add_customer()
    assert chat(gateway, customer.key, model="sandbox/echo").status_code == 200

    revoked_at = revoke(gateway, customer)

    assert last_accepted_s(gateway, customer.key, revoked_at) < WITHIN_S


def test_a_key_revoked_on_one_node_is_refused_on_the_other(
    postgres: TemporaryPostgres, tmp_path: Path
) -> None:
    url = postgres.make_database("revocation")
    with Gateway(tmp_path / "home", url) as one, Gateway(tmp_path / "home", url) as two:
        customer = one.add_customer()
        assert chat(two, customer.key, model="sandbox/echo").status_code == 200

        revoked_at = revoke(one, customer)

        assert last_accepted_s(two, customer.key, revoked_at) < WITHIN_S


@pytest.mark.parametrize("mode", ["live", "test"])
def test_the_other_keys_of_the_account_go_on(sqlite_gateway: Gateway, mode: str) -> None:
    customer = sqlite_gateway.add_customer()
    other = sqlite_gateway.add_key(customer.account_id, mode=mode)

    revoked_at = revoke(sqlite_gateway, customer)
    last_accepted_s(sqlite_gateway, customer.key, revoked_at)

    assert chat(sqlite_gateway, other, model="sandbox/echo").status_code == 200


async def swallow(*_: object) -> None:
    await asyncio.sleep(60)


def test_a_look_for_changes_that_is_swallowed_makes_room_for_the_next(
    sqlite_gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "LOOK_S", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_gateway.app.database, "read", swallow)
        with pytest.raises(StoreUnavailableError):
            sqlite_gateway.run(sqlite_gateway.app.look_for_changes())

    sqlite_gateway.run(sqlite_gateway.app.look_for_changes())
