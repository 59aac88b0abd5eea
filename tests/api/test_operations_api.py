"""What the operator's machines ask: alive, ready, counted, described."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from altyn import __version__
from altyn.api.operations import Breaches, _nothing
from altyn.api.routes import BASE, ROUTES
from altyn.database.address import open_database
from altyn.database.engine import StoreUnavailableError
from altyn.errors import AltynError
from altyn.ledger.audit import Finding
from fakes.caller import Caller

LABELS = {"outcome", "mode", "form", "provider", "kind", "code", "direction", "reason", "le"}


def metrics_of(gateway) -> str:
    token = (gateway.settings.home / "metrics.token").read_text().strip()
    return Caller(gateway.url, token).get("/metrics").body.decode()


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json"])
def test_anonymous(house, path):
    said = Caller(house.url).get(path)

    assert (said.status, said.headers["content-type"]) == (200, "application/json")


def test_a_living_process_says_so(house):
    assert Caller(house.url).get("/healthz").json == {"status": "ok"}


def test_a_ready_gateway_has_no_reasons(house):
    assert Caller(house.url).get("/readyz").json == {"status": "ready", "reasons": []}


def test_a_gateway_that_cannot_write_is_not_ready_and_says_why(sqlite_gateway, monkeypatch):
    async def write(_work: object) -> None:
        raise StoreUnavailableError("SQLite: database or disk is full")

    monkeypatch.setattr(sqlite_gateway.app.database, "write", write)
    said = Caller(sqlite_gateway.url).get("/readyz")
    alive = Caller(sqlite_gateway.url).get("/healthz").status
    monkeypatch.undo()

    assert (said.status, said.json["status"], alive) == (503, "not_ready", 200)
    assert said.json["reasons"] == [
        "the database cannot be written: SQLite: database or disk is full"
    ]
    assert Caller(sqlite_gateway.url).get("/readyz").status == 200


def test_a_gateway_without_routes_a_breach_or_its_doors_closed_is_not_ready(
    sqlite_gateway, monkeypatch
):
    app = sqlite_gateway.app
    monkeypatch.setattr(app.operations, "breaches", breaches := Breaches())
    breaches.add([Finding("all accounts add up to 0", "all accounts add up to 1")])
    monkeypatch.setattr(app.desk, "open", False)
    monkeypatch.setattr(app.desk.shelf, "goods", {})

    said = Caller(sqlite_gateway.url).get("/readyz")

    assert said.status == 503
    assert said.json["reasons"] == [
        "all accounts add up to 1",
        "shutting down",
        "no model has a route that works",
    ]


def test_a_breach_of_one_account_is_told_and_the_others_go_on(sqlite_gateway, monkeypatch):
    monkeypatch.setattr(sqlite_gateway.app.operations, "breaches", breaches := Breaches())
    breaches.add([Finding("sum", "account 1 does not add up", 1), Finding("all", "nor do all")])
    breaches.add([Finding("sum", "account 1 still does not add up", 1)])

    said = Caller(sqlite_gateway.url).get("/readyz")

    assert (said.status, said.json["status"]) == (200, "ready")
    assert said.json["reasons"] == ["account 1 still does not add up", "nor do all"]


def test_a_charge_that_is_not_the_price_of_its_usage_freezes_its_account(sqlite_gateway):
    alice, bob = sqlite_gateway.add_customer(), sqlite_gateway.add_customer()
    for customer in (alice, bob):
        assert Caller(sqlite_gateway.base, customer.key).chat().status == 200
    sqlite_gateway.wait_until_idle()
    add = "UPDATE usage_records SET output_text = output_text + $2 WHERE account_id = $1"

    sqlite_gateway.run(sqlite_gateway.app.audit())
    before = Caller(sqlite_gateway.base, alice.key).chat()
    sqlite_gateway.write(lambda tx: tx.execute(add, alice.account_id, 1))
    sqlite_gateway.run(sqlite_gateway.app.audit())
    after = [Caller(sqlite_gateway.base, each.key).chat() for each in (alice, bob)]
    sqlite_gateway.write(lambda tx: tx.execute(add, alice.account_id, -1))

    assert before.status == 200
    assert [said.status for said in after] == [403, 200]
    assert after[0].code == "account_frozen"
    (reason,) = Caller(sqlite_gateway.url).get("/readyz").json["reasons"]
    assert reason.startswith(f"account {alice.account_id}: request ")


async def test_a_postgresql_that_only_reads_is_not_ready(postgres_url):
    database = open_database(postgres_url)
    await database.open()

    async def only_read(tx):
        await tx.execute("SET TRANSACTION READ ONLY")
        await _nothing(tx)

    await database.write(_nothing)
    with pytest.raises(StoreUnavailableError):
        await database.write(only_read)
    await database.close()


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer wrong"}, {"authorization": "x"}])
def test_metrics_need_their_token(house, header):
    said = Caller(house.url, **header).get("/metrics")

    assert said.status == 401
    assert b"altyn_calls" not in said.body


def test_a_customers_key_does_not_open_the_metrics(house, alice):
    assert Caller(house.url, alice.key).get("/metrics").status == 401


def test_the_token_can_be_set(make_gateway):
    own = make_gateway(metrics_token="a-token-of-my-own")

    assert Caller(own.url, "a-token-of-my-own").get("/metrics").status == 200
    assert not (own.settings.home / "metrics.token").exists()


def test_a_made_token_is_for_its_owner_alone(house):
    metrics_of(house)

    assert (house.settings.home / "metrics.token").stat().st_mode & 0o777 == 0o600


def test_metrics_are_of_one_type_and_readable(house, as_, alice):
    as_(alice.key).chat()
    house.wait_until_idle()

    token = (house.settings.home / "metrics.token").read_text().strip()
    said = Caller(house.url, token).get("/metrics")
    families = list(text_string_to_metric_families(said.body.decode()))

    assert said.headers["content-type"].startswith("text/plain")
    assert {family.name for family in families} >= {"altyn_calls", "altyn_charged_nanos"}


def test_metrics_count_calls_money_and_refusals(sqlite_gateway):
    alice = sqlite_gateway.add_customer()
    caller = Caller(sqlite_gateway.base, alice.key)
    caller.chat()
    caller.chat("/chat/stream")
    Caller(sqlite_gateway.base, alice.test_key).chat()
    caller.chat(temperature="x")
    sqlite_gateway.wait_until_idle()

    told = metrics_of(sqlite_gateway)

    assert 'altyn_calls_total{form="whole",mode="live",outcome="charged"} 1.0' in told
    assert 'altyn_calls_total{form="stream",mode="live",outcome="charged"} 1.0' in told
    assert 'altyn_calls_total{form="whole",mode="test",outcome="free_test"} 1.0' in told
    assert 'altyn_refusals_total{code="invalid_parameter"} 1.0' in told
    assert "altyn_charged_nanos_total 2600.0" in told
    assert "altyn_first_event_seconds_count 3.0" in told


def test_labels_are_few_and_never_name_a_caller(house, as_, alice):
    for number in range(20):
        as_(alice.key).chat(model=f"nobody/{number}", user=f"user-{number}")
        as_(alice.key).get(f"/nothing-{number}")

    told = metrics_of(house)

    names = {
        label
        for family in text_string_to_metric_families(told)
        for sample in family.samples
        for label in sample.labels
    }
    assert names <= LABELS
    for secret in (alice.email, alice.key, "nobody/1", "user-1", "nothing-1"):
        assert secret not in told


def test_the_description_has_every_route_method_and_code(house):
    told = Caller(house.url).get("/openapi.json").json

    assert told["openapi"].startswith("3.1")
    assert told["info"]["version"] == __version__
    assert told["servers"][0]["url"].endswith(BASE)
    assert set(told["paths"]) == {route.path for route in ROUTES}
    for route in ROUTES:
        responses = told["paths"][route.path][route.method.lower()]["responses"]
        codes = " ".join(answer["description"] for answer in responses.values())
        assert all(code in codes for code in ("invalid_api_key", "rate_limit_exceeded"))


def test_every_reference_in_the_description_leads_somewhere(house):
    told = Caller(house.url).get("/openapi.json")
    schemas = told.json["components"]["schemas"]

    named = {part.split('"')[0] for part in told.body.decode().split("#/components/schemas/")[1:]}

    assert named <= set(schemas)
    assert "ChatBody" in named


def test_answers_fit_their_description(house, as_, alice):
    as_(alice.key).chat()
    told = Caller(house.url).get("/openapi.json").json
    schemas = told["components"]["schemas"]

    for path, name in (
        ("/balance", "BalanceCard"),
        ("/key", "KeyCard"),
        ("/usage", "UsageList"),
        ("/models", "ModelList"),
    ):
        answer = as_(alice.key).get(path).json
        assert set(answer) == set(schemas[name]["properties"])
        assert set(schemas[name]["required"]) <= set(answer)


@pytest.mark.parametrize(
    "path", ["/nothing", "/metrics/x", "/.git/config", "/api/v2", "/admin.php"]
)
def test_what_is_not_there_is_not_found(house, path):
    assert Caller(house.url).get(path).status == 404


def test_only_get_is_taken(house):
    said = Caller(house.url).post("/healthz", {})

    assert (said.status, said.headers["allow"]) == (405, "GET")


def test_a_key_in_the_address_is_refused_here_too(house, alice):
    said = Caller(house.url).get(f"/metrics?token={alice.key}")

    assert (said.status, said.code) == (400, "key_in_url")
    assert alice.key.encode() not in said.body


def test_a_fault_of_ours_is_told_as_one(house, monkeypatch):
    async def fail(_request: object) -> None:
        raise ZeroDivisionError("secret words")

    monkeypatch.setitem(house.app.operations._routes, "/healthz", fail)
    said = Caller(house.url).get("/healthz")

    assert (said.status, said.code) == (500, "internal_error")
    assert b"secret words" not in said.body


def test_no_error_of_the_operators_is_in_the_description(house):
    told = Caller(house.url).get("/openapi.json").body

    assert b"operator_error" not in told
    assert issubclass(StoreUnavailableError, AltynError)
