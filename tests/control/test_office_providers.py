import ssl

import pytest
from msgspec import structs

from altyn.control.deeds import perform
from altyn.control.office import Office
from altyn.errors import AlreadyExistsError, OperatorError, UnknownNameError
from altyn.upstream.provider import list_providers
from fakes.caller import Caller
from fakes.certificate import make_certificate
from fakes.gemini_server import KEY, FakeGemini
from fakes.openai_server import Reply
from fakes.scripted_server import answer, free_port, saying, serving


def there(vendor):
    return {"name": "fake", "dialect": "openai-chat", "base_url": vendor.base_url}


LOCAL = {"name": "mine", "dialect": "openai-chat", "base_url": "http://127.0.0.1:1/v1"}


async def test_a_list_shows_that_there_is_a_secret_but_never_which(do):
    await do("provider.add", **LOCAL, secret="sk-very-secret", proxy="http://u:word@127.0.0.1:3128")

    shown = await do("provider.list")

    mine = next(provider for provider in shown if provider["name"] == "mine")
    assert mine["has_secret"] is True
    assert "very-secret" not in str(shown)
    assert "word" not in str(shown)


async def test_a_known_vendor_needs_no_address(do):
    added = await do("provider.add", name="openrouter", secret="sk-or-x")

    assert added["base_url"] == "https://openrouter.ai/api/v1"
    assert added["dialect"] == "openai-chat"


async def test_an_unknown_vendor_needs_one(do):
    with pytest.raises(OperatorError, match="--dialect and --base-url"):
        await do("provider.add", name="mine", secret="x")


async def test_a_name_is_given_once(do):
    await do("provider.add", **LOCAL)

    with pytest.raises(AlreadyExistsError):
        await do("provider.add", **LOCAL)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "My Own"},
        {"dialect": "telepathy"},
        {"base_url": "ftp://x"},
        {"proxy": "socks5://x"},
    ],
)
async def test_what_could_never_be_called_is_refused(do, wrong):
    with pytest.raises(OperatorError):
        await do("provider.add", **{**LOCAL, **wrong})


async def test_a_provider_goes_with_its_routes(do):
    await do("provider.add", **LOCAL)
    await do("route.add", model="openai/gpt-5", provider="mine", upstream_model="five")

    removed = await do("provider.remove", name="mine")

    assert removed == {"name": "mine", "routes_removed": 1}
    assert await do("route.list", model="openai/gpt-5") == []


async def test_a_provider_that_is_not_there_cannot_be_removed(do):
    with pytest.raises(UnknownNameError):
        await do("provider.remove", name="mine")


async def test_a_route_that_is_added_again_is_changed(do):
    await do("provider.add", **LOCAL)
    await do("route.add", model="openai/gpt-5", provider="mine")

    await do("route.add", model="openai/gpt-5", provider="mine", priority=7, weight=3)

    (route,) = await do("route.list", model="openai/gpt-5")
    assert (route["upstream_model"], route["priority"], route["weight"]) == ("openai/gpt-5", 7, 3)


async def test_a_route_speaks_its_providers_dialect_or_its_own(do):
    await do("provider.add", **LOCAL)

    plain = await do("route.add", model="openai/gpt-5", provider="mine")
    own = await do("route.add", model="openai/gpt-5.2", provider="mine", dialect="openai-responses")

    assert (plain["dialect"], own["dialect"]) == ("openai-chat", "openai-responses")


@pytest.mark.parametrize(
    ("provider", "dialect"),
    [("mine", "telepathy"), ("mine", "sandbox"), ("sandbox", "openai-chat")],
)
async def test_a_dialect_that_a_provider_cannot_speak_is_refused(do, provider, dialect):
    await do("provider.add", **LOCAL)

    with pytest.raises(OperatorError):
        await do("route.add", model="openai/gpt-5", provider=provider, dialect=dialect)


async def test_a_removed_route_is_gone(do):
    await do("provider.add", **LOCAL)
    await do("route.add", model="openai/gpt-5", provider="mine")

    await do("route.remove", model="openai/gpt-5", provider="mine")

    assert await do("route.list", model="openai/gpt-5") == []
    with pytest.raises(UnknownNameError):
        await do("route.remove", model="openai/gpt-5", provider="mine")


async def test_the_sandbox_answers_a_trial(do):
    trial = await do("provider.test", name="sandbox", model="sandbox/echo")

    assert trial["ok"] is True
    assert trial["upstream_model"] == "echo"
    assert trial["completion_tokens"] > 0
    assert trial["total_ms"] >= trial["first_event_ms"]


async def test_a_vendor_answers_a_trial(do, vendor):
    await do("provider.add", **there(vendor), secret=vendor.key)

    trial = await do("provider.test", name="fake", model="test-model")

    assert trial["fault"] is None
    assert trial["ok"] is True
    assert trial["connect_ms"] is not None


@pytest.mark.parametrize(("secret", "fault"), [(KEY, None), ("AIzaWrong", "auth")])
async def test_google_answers_a_trial_or_says_why_not(do, secret, fault):
    with FakeGemini(key=KEY) as google:
        await do("provider.add", name="gemini", base_url=google.base_url, secret=secret)

        trial = await do("provider.test", name="gemini", model="gemini-2.5-pro")

    assert (trial["ok"], trial["fault"]) == (fault is None, fault)
    assert fault is None or "API key not valid" in trial["message"]


async def test_a_trial_tells_what_the_vendor_said(do, vendor):
    await do("provider.add", **there(vendor))

    trial = await do("provider.test", name="fake", model="test-model")

    assert (trial["ok"], trial["fault"], trial["status"]) == (False, "auth", 401)
    assert "API key" in trial["message"]


async def test_a_provider_that_is_not_there_fails_a_trial_at_the_door(do):
    address = f"http://127.0.0.1:{free_port()}/v1"
    await do("provider.add", name="gone", dialect="openai-chat", base_url=address)

    trial = await do("provider.test", name="gone", model="m")

    assert trial["ok"] is False
    assert trial["fault"] == "connect"


async def test_a_trial_needs_to_know_what_to_ask_for(do):
    await do("provider.add", **LOCAL)

    with pytest.raises(OperatorError, match="--model"):
        await do("provider.test", name="mine")


# How they do ----------------------------------------------------------------------------------


async def test_a_known_vendor_serves_its_models_at_once(do):
    added = await do("provider.add", name="openai", secret="sk-x")

    routes = [route for route in await do("route.list") if route["provider"] == "openai"]
    assert added["routes"] == len(routes) > 0


async def test_a_vendors_name_at_another_address_is_the_operators_own(do):
    added = await do(
        "provider.add", name="openai", base_url="http://127.0.0.1:1/v1", dialect="openai-chat"
    )

    assert added["routes"] == 0


async def test_a_provider_is_drained_resumed_and_limited(do):
    await do("provider.add", **LOCAL, parallel=3)

    drained = await do("provider.drain", name="mine")
    resumed = await do("provider.resume", name="mine")
    changed = await do("provider.set", name="mine", parallel=0)

    assert (drained["parallel"], drained["now"]["state"]) == (3, "drained")
    assert resumed["now"]["state"] == "serving"
    assert changed["parallel"] is None


async def test_a_key_is_replaced_and_sealed(do, office):
    await do("provider.add", **LOCAL, secret="sk-old")

    await do("provider.set", name="mine", secret="sk-new")

    providers = await list_providers(office.database, office.seal)
    assert next(one.secret for one in providers if one.name == "mine") == "sk-new"


@pytest.mark.parametrize(
    ("deed", "arguments"),
    [
        ("provider.drain", {"name": "nobody"}),
        ("provider.resume", {"name": "nobody"}),
        ("provider.set", {"name": "nobody", "secret": "x"}),
        ("provider.set", {"name": "sandbox"}),
        ("provider.set", {"name": "sandbox", "parallel": -1}),
        ("route.strategy", {"model": "nobody/x", "strategy": "price"}),
        ("route.strategy", {"model": "openai/gpt-5", "strategy": "luck"}),
    ],
)
async def test_what_cannot_be_done_is_refused_in_a_sentence(do, deed, arguments):
    with pytest.raises(OperatorError):
        await do(deed, **arguments)


async def test_a_strategy_is_chosen_and_given_up(do):
    await do("provider.add", **LOCAL)
    await do("route.add", model="openai/gpt-5", provider="mine")

    shown = []
    for strategy in ("latency", "default"):
        await do("route.strategy", model="openai/gpt-5", strategy=strategy)
        shown += [route["strategy"] for route in await do("route.list", model="openai/gpt-5")]

    assert shown == ["latency", "priority"]


async def test_a_trial_prints_a_refusal_word_for_word_without_the_key(do, vendor):
    await do("provider.add", **there(vendor), secret=vendor.key)
    body = b'{"error":{"message":"no %b here","odd":[1]}}' % vendor.key.encode()
    vendor.says(Reply(status=418, body=body))

    trial = await do("provider.test", name="fake", model="test-model")

    assert (trial["ok"], trial["status"]) == (False, 418)
    assert '"odd":[1]' in trial["raw"]
    assert vendor.key not in str(trial)


async def test_a_trial_times_tls_apart(do, tmp_path, monkeypatch):
    certificate = make_certificate(tmp_path)
    serving_tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving_tls.load_cert_chain(certificate)
    trusting = ssl.create_default_context(cafile=certificate)
    for module in ("control.trial", "upstream.pool"):
        monkeypatch.setattr(f"altyn.{module}.default_tls", lambda: trusting)
    async with serving(saying(answer(b"{}", status="500 Oops")), tls=serving_tls) as server:
        url = f"https://127.0.0.1:{server.port}/v1"
        await do("provider.add", name="safe", dialect="openai-chat", base_url=url)

        trial = await do("provider.test", name="safe", model="m")

    assert (trial["fault"], trial["status"]) == ("server", 500)
    assert trial["connect_ms"] is not None
    assert trial["tls_ms"] is not None


def test_how_routes_do_is_told_by_every_process_that_serves(gateway, vendor):
    """A command beside PostgreSQL has no router of its own: it reads what the servers tell."""
    model = "openai/gpt-oss-120b"
    name = gateway.add_upstream(
        vendor.base_url, model, secret="sk-wrong", upstream_model="test-model"
    )
    customer = gateway.add_customer()
    Caller(gateway.base, customer.key).chat(model=model)
    gateway.run(gateway.app.tell_health())
    office = Office(
        settings=gateway.settings,
        database=gateway.app.database,
        seal=gateway.seal,
        writer=gateway.app.writer,
    )

    cards = gateway.run(perform(office, "provider.list", {}))
    routes = gateway.run(perform(office, "route.list", {"model": model}))

    now = next(card["now"] for card in cards if card["name"] == name)
    assert (now["state"], now["reason"]) == ("resting", "our key is refused (401)")
    assert now["success_share"] == 0
    assert now["rests_until"].endswith("Z")
    assert routes[0]["now"]["state"] == "resting"
    beside = structs.replace(office, router=gateway.app.router)
    live = gateway.run(perform(beside, "provider.list", {}))
    assert next(card["now"]["state"] for card in live if card["name"] == name) == "resting"


@pytest.mark.parametrize(
    ("base_url", "secret", "caution"),
    [
        ("https://api.vendor.test/v1", "sk-1", None),
        ("http://api.vendor.test/v1", None, None),
        ("http://api.vendor.test/v1", "sk-1", "unencrypted"),
        ("http://10.0.0.5:8000/v1", None, "inside your network"),
        ("https://10.0.0.5/v1", "sk-1", "inside your network"),
        ("http://localhost:11434/v1", None, "inside your network"),
        ("http://vllm:8000/v1", None, "inside your network"),
        ("http://169.254.169.254/v1", None, "inside your network"),
    ],
)
async def test_an_unusual_address_is_taken_and_said(do, base_url, secret, caution):
    card = await do(
        "provider.add", name="mine", dialect="openai-chat", base_url=base_url, secret=secret
    )

    assert (card["caution"] is None) == (caution is None)
    assert caution is None or caution in card["caution"]
