"""Every error of the API, produced by somebody who meets it: status, type, code, param, request."""

import json
import re
from collections.abc import Callable

import pytest

from altyn.api import chat as chats
from altyn.api.routes import BASE
from altyn.catalog.load import Catalog
from altyn.database.engine import Transaction, bump_revision, now_ms
from altyn.errors import AltynError
from altyn.gateway.shelf import Shelf
from altyn.keys.key import mint
from altyn.keys.store import KeyRules, revoke_key
from fakes.caller import Caller, Said
from fakes.gateway import Customer, Gateway
from fakes.openai_server import Reply

MODEL = "openai/gpt-oss-120b"
REQUEST_ID = re.compile(r"req_[0-9a-f]{28}")


class Scene:
    """One customer at one gateway, and a vendor who says what he is told to."""

    def __init__(self, house: Gateway, vendor, monkeypatch) -> None:
        self.house = house
        self.vendor = vendor
        self.monkeypatch = monkeypatch
        self.alice: Customer = house.add_customer("1")

    @property
    def caller(self) -> Caller:
        return Caller(self.house.base, self.alice.key)

    def with_rules(self, **rules) -> Caller:
        key = self.house.add_key(self.alice.account_id, rules=KeyRules(**rules))
        return Caller(self.house.base, key)

    def after_vendor_says(self, reply: Reply) -> Said:
        if "openai-table" not in {p.name for p in self.providers()}:
            self.house.add_upstream(
                self.vendor.base_url,
                MODEL,
                name="openai-table",
                secret=self.vendor.key,
                upstream_model="test-model",
            )
        self.vendor.says(reply)
        return self.caller.chat(model=MODEL)

    def providers(self):
        return [t.provider for t in self.house.app.desk.shelf.goods[MODEL].targets]


def refusal(status: int, message: str, **more: object) -> Reply:
    error = {"message": message, "type": "x", "param": None, "code": None, **more}
    return Reply(status=status, body=json.dumps({"error": error}).encode())


def raw(data: bytes) -> Callable[[Scene], Said]:
    return lambda scene: scene.caller.post("/chat/completions", data)


def without_a_price(scene: Scene) -> Said:
    shelf = scene.house.app.desk.shelf
    bare = Shelf(Catalog(list(shelf.catalog.models.values()), [], [], []), [])
    scene.monkeypatch.setattr(scene.house.app.desk, "shelf", bare)
    return scene.caller.chat()


def frozen(scene: Scene) -> Said:
    async def freeze(tx: Transaction) -> None:
        sql = "UPDATE accounts SET frozen_at = $2 WHERE id = $1"
        await tx.execute(sql, scene.alice.account_id, now_ms())
        await bump_revision(tx)

    scene.house.write(freeze)
    return scene.caller.chat()


def revoked(scene: Scene) -> Said:
    scene.house.write(lambda tx: revoke_key(tx, scene.alice.key_id))
    return scene.caller.chat()


def too_often(scene: Scene) -> Said:
    caller = scene.with_rules(requests_per_minute=1)
    caller.chat()
    return caller.chat()


def too_many(scene: Scene) -> Said:
    caller = scene.with_rules(parallel_requests=1)
    key_id = caller.get("/key").json["id"]
    caller.chat()
    _, complete = scene.house.app.api._exact[f"{BASE}/chat/completions"]
    complete.__self__.limits._keys[key_id].running += 1
    return caller.chat()


def of_ours(scene: Scene) -> Said:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a fault of ours with a secret in it")

    scene.monkeypatch.setattr(chats, "take_order", fail)
    return scene.caller.chat()


def used_for_another(scene: Scene) -> Said:
    for words in ("first", "second"):
        chat = {"model": "sandbox/echo", "messages": [{"role": "user", "content": words}]}
        said = scene.caller.post("/chat/completions", chat, idempotency_key="used")
    return said


def poor(scene: Scene) -> Said:
    return Caller(scene.house.base, scene.house.add_customer("0.0001").key).chat(max_tokens=8192)


CONTEXT = "This model's maximum context length is 8192 tokens."

TABLE: dict[str, tuple[int, str, str | None, Callable[[Scene], Said]]] = {
    "invalid_json": (400, "invalid_request_error", None, raw(b'{"model":')),
    "invalid_parameter": (
        400,
        "invalid_request_error",
        "temperature",
        lambda scene: scene.caller.chat(temperature="0.7"),
    ),
    "missing_parameter": (
        400,
        "invalid_request_error",
        "model",
        lambda scene: scene.caller.chat(model=...),
    ),
    "unsupported_parameter": (
        400,
        "invalid_request_error",
        "n",
        lambda scene: scene.caller.chat(model="openai/gpt-5", n=2),
    ),
    "context_length_exceeded": (
        400,
        "invalid_request_error",
        "messages",
        lambda scene: scene.after_vendor_says(
            refusal(400, CONTEXT, code="context_length_exceeded")
        ),
    ),
    "key_in_url": (
        400,
        "invalid_request_error",
        None,
        lambda scene: scene.caller.get(f"/balance?key={scene.alice.key}"),
    ),
    "missing_api_key": (
        401,
        "authentication_error",
        None,
        lambda scene: Caller(scene.house.base).get("/balance"),
    ),
    "invalid_api_key": (
        401,
        "authentication_error",
        None,
        lambda scene: Caller(scene.house.base, mint("live")).get("/balance"),
    ),
    "revoked_api_key": (401, "authentication_error", None, revoked),
    "expired_api_key": (
        401,
        "authentication_error",
        None,
        lambda scene: scene.with_rules(expires_at=1).get("/balance"),
    ),
    "insufficient_balance": (402, "billing_error", None, poor),
    "key_limit_exceeded": (
        402,
        "billing_error",
        None,
        lambda scene: scene.with_rules(limit_nanos=1).chat(),
    ),
    "model_not_allowed": (
        403,
        "permission_error",
        "model",
        lambda scene: scene.with_rules(models=("openai/gpt-5",)).chat(),
    ),
    "ip_not_allowed": (
        403,
        "permission_error",
        None,
        lambda scene: scene.with_rules(ip_ranges=("192.0.2.1",)).chat(),
    ),
    "account_frozen": (403, "permission_error", None, frozen),
    "insufficient_scope": (
        403,
        "permission_error",
        None,
        lambda scene: scene.with_rules(scopes=("key",)).chat(),
    ),
    "model_not_found": (
        404,
        "invalid_request_error",
        "model",
        lambda scene: scene.caller.chat(model="nobody/nothing"),
    ),
    "not_found": (404, "invalid_request_error", None, lambda scene: scene.caller.get("/nothing")),
    "method_not_allowed": (
        405,
        "invalid_request_error",
        None,
        lambda scene: scene.caller.get("/chat/completions"),
    ),
    "model_not_priced": (409, "invalid_request_error", "model", without_a_price),
    "body_too_large": (
        413,
        "invalid_request_error",
        None,
        raw(b" " * (16 * 1024 * 1024 + 1)),
    ),
    "unsupported_media_type": (
        415,
        "invalid_request_error",
        None,
        lambda scene: scene.caller.post("/chat/completions", b"a=b", content_type="text/plain"),
    ),
    "rate_limit_exceeded": (429, "rate_limit_error", None, too_often),
    "too_many_concurrent_requests": (429, "rate_limit_error", None, too_many),
    "internal_error": (500, "api_error", None, of_ours),
    "idempotency_conflict": (409, "invalid_request_error", "Idempotency-Key", used_for_another),
    "upstream_error": (
        502,
        "upstream_error",
        None,
        lambda scene: scene.after_vendor_says(refusal(500, "boom")),
    ),
    "upstream_invalid_response": (
        502,
        "upstream_error",
        None,
        lambda scene: scene.after_vendor_says(Reply(body=b"<html>")),
    ),
    "model_unavailable": (
        503,
        "upstream_error",
        None,
        lambda scene: scene.caller.chat(model="anthropic/claude-haiku-4.5"),
    ),
    "overloaded": (
        503,
        "upstream_error",
        None,
        lambda scene: scene.after_vendor_says(refusal(429, "slow down")),
    ),
    "upstream_timeout": (
        504,
        "upstream_error",
        None,
        lambda scene: scene.after_vendor_says(refusal(504, "late")),
    ),
}


@pytest.fixture
def scene(house, vendor, monkeypatch):
    made = Scene(house, vendor, monkeypatch)
    yield made
    monkeypatch.undo()

    async def forget(tx: Transaction) -> None:
        await tx.execute("DELETE FROM routes WHERE model_id = $1", MODEL)
        await tx.execute("DELETE FROM providers WHERE name = 'openai-table'")
        await bump_revision(tx)

    house.write(forget)


def every_code() -> set[str]:
    def leaves(error: type[AltynError]) -> list[type[AltynError]]:
        below = [leaf for part in error.__subclasses__() for leaf in leaves(part)]
        return below or [error]

    return {leaf.code for leaf in leaves(AltynError)} - {"operator_error"}


def test_every_code_has_a_case():
    assert set(TABLE) == every_code()


@pytest.mark.parametrize("code", TABLE)
def test_the_error_is_as_the_contract_says(scene, code):
    status, kind, param, provoke = TABLE[code]

    said = provoke(scene)

    assert (said.status, said.code) == (status, code)
    error = said.error
    assert (error["type"], error["param"]) == (kind, param)
    assert error["message"]
    assert REQUEST_ID.fullmatch(error["request_id"])
    assert error["request_id"] == said.headers["x-request-id"]
    assert said.headers["content-type"] == "application/json"
    assert "Traceback" not in said.body.decode()


@pytest.mark.parametrize("code", TABLE)
def test_an_error_costs_nothing_and_holds_nothing(scene, code):
    before = scene.caller.get("/balance")
    TABLE[code][3](scene)
    scene.house.wait_until_idle()

    spent = scene.house.read(
        "SELECT count(*) FROM usage_records WHERE account_id = $1 AND charge_nanos > 0"
        " AND status <> 'success'",
        scene.alice.account_id,
    )
    held = scene.house.read("SELECT held_nanos FROM accounts WHERE id = $1", scene.alice.account_id)
    assert (before.status, spent[0][0], held[0][0]) == (200, 0, 0)


@pytest.mark.parametrize("code", sorted({c for c, row in TABLE.items() if row[0] in {429, 503}}))
def test_who_may_come_back_is_told_when(scene, code):
    said = TABLE[code][3](scene)

    assert int(said.headers["retry-after"]) >= 1


@pytest.mark.parametrize("code", sorted({c for c, row in TABLE.items() if row[0] == 401}))
def test_who_is_unknown_is_told_how_to_say_who_he_is(scene, code):
    said = TABLE[code][3](scene)

    assert said.headers["www-authenticate"].startswith("Bearer")


def test_a_wrong_method_is_told_the_right_one(scene):
    assert scene.caller.get("/chat/stream").headers["allow"] == "POST"
    assert scene.caller.post("/balance", {}).headers["allow"] == "GET"


def test_who_has_too_little_money_is_told_how_much_would_do(scene):
    error = poor(scene).error

    assert (error["available"], error["held"], error["currency"]) == (
        "0.000100000",
        "0.000000000",
        "USD",
    )
    assert float(error["shortfall"]) == pytest.approx(float(error["required"]) - 0.0001)
    assert error["top_up_url"].endswith("/billing")
    assert "affordable_max_tokens" in error


def test_what_can_be_afforded_is_affordable(house, as_):
    poor_one = house.add_customer("0.0003")
    refused = as_(poor_one.key).chat(max_tokens=8192)
    tokens = refused.error["affordable_max_tokens"]

    assert as_(poor_one.key).chat(max_tokens=tokens + 1).status == 402
    assert as_(poor_one.key).chat(max_tokens=tokens).status == 200


def test_a_spent_key_is_told_its_limit(scene):
    error = TABLE["key_limit_exceeded"][3](scene).error

    assert (error["limit"], error["spent"]) == ("0.000000001", "0.000000000")
    assert (error["period"], error["currency"]) == ("total", "USD")


@pytest.mark.parametrize(
    ("wish", "russian"),
    [
        ("ru", True),
        ("ru-RU", True),
        ("RU", True),
        ("ru-RU,ru;q=0.9,en-US;q=0.8", True),
        ("en;q=0.5, ru;q=0.7", True),
        ("en; q=0.5 , ru; q=0.7", True),
        ("de, ru;q=0.1", True),
        ("en", False),
        ("en-GB,ru;q=0.9", False),
        ("ru;q=0", False),
        ("ru;q=0, en;q=0.1", False),
        ("de", False),
        ("*", False),
        ("rum", False),
        (";;;q=,,", False),
        ("ru;q=nan", False),
        ("", False),
    ],
)
def test_the_message_is_in_the_language_asked_for(house, as_, wish, russian):
    message = as_(accept_language=wish).get("/balance").error["message"]

    assert message.startswith("Нет ключа API" if russian else "No API key")


def test_an_installation_has_a_language_of_its_own(make_gateway):
    at_home = make_gateway(language="ru")

    silent = Caller(at_home.base).get("/balance").error["message"]
    english = Caller(at_home.base, accept_language="en").get("/balance").error["message"]

    assert (silent[:3], english[:2]) == ("Нет", "No")


def test_request_ids_are_never_the_same(house, as_):
    ids = {as_().get("/balance").headers["x-request-id"] for _ in range(20)}

    assert len(ids) == 20
    assert all(REQUEST_ID.fullmatch(request_id) for request_id in ids)
