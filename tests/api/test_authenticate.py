import pytest

from altyn.database.engine import Transaction, now_ms
from altyn.keys.key import mint
from altyn.keys.store import SCOPES, KeyRules, revoke_key
from fakes.caller import Caller, Wire

DOORS = {"chat": "/chat/completions", "models": "/models", "balance": "/balance"} | {
    "usage": "/usage",
    "key": "/key",
}


def knock(caller: Caller, scope: str):
    return caller.chat() if scope == "chat" else caller.get(DOORS[scope])


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Basic abc", "sk_live_abc", "Token sk_live_abc"]
)
def test_without_a_bearer_key_nobody_is_let_in(house, as_, header):
    headers = {} if header is None else {"authorization": header}

    said = as_(**headers).get("/balance")

    assert (said.status, said.code) == (401, "missing_api_key")
    assert said.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "key",
    [
        "x",
        "sk_live_" + "0" * 48,
        "sk_live_" + "а" * 24,
        "sk_prod_" + "0" * 48,
        "' OR 1=1 --",
        "%" * 56,
        "sk_live_" + "0" * 10_000,
        "\U0001f511" * 14,
    ],
)
def test_what_is_no_key_is_refused(house, as_, key):
    said = as_(authorization=b"Bearer " + key.encode()).get("/balance")

    assert (said.status, said.code) == (401, "invalid_api_key")
    assert key.encode() not in said.body


def test_a_key_with_a_wrong_checksum_asks_no_database(house, as_, alice, monkeypatch):
    asked = []
    monkeypatch.setattr(house.app.ring, "find", asked.append)
    wrong = alice.key[:-1] + ("0" if alice.key[-1] != "0" else "1")

    said = as_(wrong).get("/balance")

    assert (said.status, asked) == (401, [])


def test_a_well_formed_key_of_nobody_is_refused(house, as_):
    said = as_(mint("live")).get("/balance")

    assert (said.status, said.code) == (401, "invalid_api_key")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_is_read_in_any_case(house, as_, alice, scheme):
    assert as_(authorization=f"{scheme}  {alice.key} ").get("/balance").status == 200


@pytest.mark.parametrize("name", ["x_api_key", "api_key", "cookie"])
def test_a_key_anywhere_else_opens_nothing(house, as_, alice, name):
    said = as_(**{name: alice.key}).get("/balance")

    assert (said.status, said.code) == (401, "missing_api_key")


def test_a_revoked_key_is_refused(house, as_, alice):
    house.write(lambda tx: revoke_key(tx, alice.key_id))

    said = as_(alice.key).get("/balance")

    assert (said.status, said.code) == (401, "revoked_api_key")


def test_an_expired_key_is_refused(house, as_, alice):
    key = house.add_key(alice.account_id, rules=KeyRules(expires_at=now_ms() - 1))

    said = as_(key).get("/balance")

    assert (said.status, said.code) == (401, "expired_api_key")


@pytest.mark.parametrize("scope", SCOPES)
def test_a_scope_opens_its_door_and_no_other(house, as_, alice, scope):
    key = house.add_key(alice.account_id, rules=KeyRules(scopes=(scope,)))

    answers = {door: knock(as_(key), door) for door in SCOPES}

    assert answers.pop(scope).status == 200
    assert {(said.status, said.code) for said in answers.values()} == {(403, "insufficient_scope")}
    assert {said.error["scope"] for said in answers.values()} == set(answers)


@pytest.mark.parametrize(
    ("ranges", "status"),
    [(("127.0.0.1",), 200), (("127.0.0.0/8", "::1"), 200), (("203.0.113.0/24",), 403), ((), 403)],
)
def test_a_key_is_kept_to_its_addresses(house, as_, alice, ranges, status):
    key = house.add_key(alice.account_id, rules=KeyRules(ip_ranges=ranges))

    assert as_(key).get("/balance").status == status


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("203.0.113.7", 200),
        ("198.51.100.1, 203.0.113.7", 200),
        ("203.0.113.7, 127.0.0.1", 200),
        ("203.0.113.7, 198.51.100.1", 403),
        ("nonsense", 403),
        ("", 403),
    ],
)
def test_a_trusted_proxy_is_believed_about_the_last_address(house, as_, alice, forwarded, status):
    key = house.add_key(alice.account_id, rules=KeyRules(ip_ranges=("203.0.113.0/24",)))

    assert as_(key, x_forwarded_for=forwarded).get("/balance").status == status


def test_a_header_of_two_lines_is_one_list(house, alice):
    """A proxy may add a line of its own to what a stranger has sent."""
    key = house.add_key(alice.account_id, rules=KeyRules(ip_ranges=("203.0.113.0/24",)))
    head = f"GET /api/v1/external/balance HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"

    answers = {}
    for lines in (("203.0.113.7", "127.0.0.1"), ("203.0.113.7", "198.51.100.1, 127.0.0.1")):
        with Wire(house.url) as wire:
            forwarded = "".join(f"X-Forwarded-For: {line}\r\n" for line in lines)
            wire.send(f"{head}{forwarded}\r\n".encode())
            answers[lines] = wire.hear().status

    assert list(answers.values()) == [200, 403]


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_an_address_of_either_kind_is_the_same_address(house, address):
    doorkeeper = house.app.api._exact["/api/v1/external/balance"][1].__self__.doorkeeper
    headers = [(b"x-forwarded-for", b"203.0.113.7")]

    assert doorkeeper.read_address({"client": (address, 1), "headers": headers}) == "203.0.113.7"


def test_a_stranger_is_not_believed_about_his_address(tmp_path, make_gateway):
    strict = make_gateway(trusted_proxies="192.0.2.1")
    alice = strict.add_customer()
    key = strict.add_key(alice.account_id, rules=KeyRules(ip_ranges=("203.0.113.0/24",)))

    said = Caller(strict.base, key, x_forwarded_for="203.0.113.7").get("/balance")

    assert (said.status, said.code) == (403, "ip_not_allowed")


def test_a_frozen_account_may_look_but_not_call(house, as_, alice):
    async def freeze(tx: Transaction) -> None:
        await tx.execute(
            "UPDATE accounts SET frozen_at = $2 WHERE id = $1", alice.account_id, now_ms()
        )
        await tx.execute("UPDATE revisions SET number = number + 1")

    house.write(freeze)

    answers = {door: knock(as_(alice.key), door).status for door in SCOPES}
    assert answers == {"chat": 403, "models": 200, "balance": 200, "usage": 200, "key": 200}
    assert as_(alice.key).chat().code == "account_frozen"


def test_a_key_for_some_models_calls_no_other(house, as_, alice):
    key = house.add_key(alice.account_id, rules=KeyRules(models=("sandbox/lorem",)))

    assert as_(key).chat(model="sandbox/lorem", max_tokens=2).status == 200
    said = as_(key).chat()
    assert (said.status, said.code) == (403, "model_not_allowed")
    assert (said.error["param"], said.error["model"]) == ("model", "sandbox/echo")
