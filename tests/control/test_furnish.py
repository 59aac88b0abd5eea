import pytest

from altyn.catalog.load import load_catalog
from altyn.catalog.model import builtin_models
from altyn.catalog.route import add_route, list_routes
from altyn.control.deeds import perform
from altyn.control.furnish import connect_vendors, furnish, mint_first_key, vendor_routes
from altyn.control.office import open_office
from altyn.keys.key import parse
from altyn.settings import read_settings
from altyn.upstream.provider import VENDORS, list_providers


def the_vendor(name):
    return next(vendor for vendor in VENDORS if vendor.name == name)


async def connect(office, **environ):
    return await connect_vendors(office.database, office.seal, environ)


async def test_a_fresh_home_sells_every_model_of_ours_and_the_sandbox(office):
    catalog = await load_catalog(office.database)

    assert set(catalog.models) == {model.id for model in builtin_models()}
    assert [route.upstream_model for route in catalog.routes["sandbox/flaky"]] == ["flaky"]


async def test_furnishing_again_changes_nothing(office):
    before = await office.database.read("SELECT number FROM revisions")

    added = await furnish(office.database, office.seal, currency="USD")

    assert added == 0
    assert await office.database.read("SELECT number FROM revisions") == before


async def test_a_sandbox_that_was_removed_stays_away(office):
    await perform(office, "provider.remove", {"name": "sandbox"})

    async def forget_one(tx):
        # As in a home of before that model was in the catalog: no price row either.
        await tx.execute("DROP TRIGGER prices_refuse_delete")
        await tx.execute("DELETE FROM prices WHERE model_id = 'openai/gpt-5'")
        await tx.execute("DELETE FROM models WHERE id = 'openai/gpt-5'")

    await office.database.write(forget_one)

    added = await furnish(office.database, office.seal, currency="USD")

    assert added == 1
    assert await list_providers(office.database, office.seal) == []


async def test_in_another_currency_only_the_sandbox_has_prices(tmp_path):
    settings = read_settings({}, home=tmp_path / "rub", overrides={"currency": "RUB"})
    async with open_office(settings) as office:
        catalog = await load_catalog(office.database)

    assert catalog.find_rate("openai/gpt-5", None, 2**62) is None
    assert catalog.find_rate("sandbox/echo", None, 2**62) is not None


async def test_the_first_key_is_a_test_key_and_the_only_one_of_its_kind(office):
    first = await mint_first_key(office.database, office.seal)
    second = await mint_first_key(office.database, office.seal)

    assert parse(first).mode == "test"
    assert second is None


# Vendors --------------------------------------------------------------------------------------


async def test_one_key_of_openrouter_reaches_every_model(office):
    names = await connect(office, OPENROUTER_API_KEY="sk-or-1")

    routes = [r for r in await list_routes(office.database) if r.provider == "openrouter"]
    assert names == ["openrouter"]
    assert len(routes) == 26
    assert {route.priority for route in routes} == {100}


async def test_a_vendor_serves_its_own_models_before_the_middleman(office):
    await connect(office, OPENROUTER_API_KEY="sk-or-1", OPENAI_API_KEY="sk-1")

    first, second = await list_routes(office.database, model_id="openai/gpt-5.2")

    assert (first.provider, first.upstream_model) == ("openai", "gpt-5.2")
    assert second.provider == "openrouter"


async def test_a_model_that_only_another_api_serves_is_asked_for_in_its_dialect(office):
    await connect(office, OPENAI_API_KEY="sk-1")

    (pro,) = await list_routes(office.database, model_id="openai/gpt-5.2-pro")
    (plain,) = await list_routes(office.database, model_id="openai/gpt-5.2")

    assert (pro.upstream_model, pro.dialect) == ("gpt-5.2-pro", "openai-responses")
    assert (plain.upstream_model, plain.dialect) == ("gpt-5.2", "openai-chat")


async def test_what_its_vendor_has_retired_gets_no_route(office):
    served = {model for model, *_ in vendor_routes(the_vendor("anthropic"), builtin_models())}

    assert "anthropic/claude-3.5-sonnet" not in served
    assert "anthropic/claude-haiku-4.5" in served


async def test_anthropic_is_spoken_to_in_its_own_dialect(office):
    await connect(office, ANTHROPIC_API_KEY="sk-ant-1")

    (route, *_) = await list_routes(office.database, model_id="anthropic/claude-haiku-4.5")
    (provider,) = [p for p in await list_providers(office.database, office.seal) if p.secret]
    assert (route.provider, route.upstream_model) == ("anthropic", "claude-haiku-4-5-20251001")
    assert (provider.dialect, provider.host) == ("anthropic", "api.anthropic.com")


@pytest.mark.parametrize(
    ("name", "former_url"),
    [
        ("anthropic", "https://api.anthropic.com/v1"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai"),
    ],
)
async def test_a_vendor_of_an_older_version_changes_to_its_own_dialect(office, name, former_url):
    older = {"name": name, "dialect": "openai-chat", "base_url": former_url, "secret": "sk-1"}
    await perform(office, "provider.add", older)

    await connect(office, **{the_vendor(name).variable: "sk-1"})

    (provider,) = [p for p in await list_providers(office.database, office.seal) if p.secret]
    assert (provider.dialect, provider.secret) == (name, "sk-1")
    assert provider.base_url == the_vendor(name).base_url


async def test_google_is_spoken_to_in_its_own_dialect(office):
    await connect(office, GEMINI_API_KEY="AIza1")

    routes = {
        route.model_id: route.upstream_model
        for route in await list_routes(office.database)
        if route.provider == "gemini"
    }
    assert routes["google/gemini-3-flash-preview"] == "gemini-3-flash-preview"
    assert routes["google/gemini-2.5-flash-lite"] == "gemini-2.5-flash-lite"
    assert "google/gemini-3-pro-preview" not in routes  # retired


async def test_nothing_set_connects_nobody(office):
    assert await connect(office, OPENAI_API_KEY=" ") == []


async def test_a_new_key_takes_the_place_of_the_old(office):
    await connect(office, OPENAI_API_KEY="sk-1")
    await connect(office, OPENAI_API_KEY="sk-2")

    secrets = {p.name: p.secret for p in await list_providers(office.database, office.seal)}

    assert secrets["openai"] == "sk-2"


async def test_a_second_start_writes_nothing(office):
    await connect(office, OPENAI_API_KEY="sk-1")
    before = await office.database.read("SELECT number FROM revisions")

    await connect(office, OPENAI_API_KEY="sk-1")

    assert await office.database.read("SELECT number FROM revisions") == before


async def test_the_operators_priority_outlives_a_start(office):
    await connect(office, OPENAI_API_KEY="sk-1")

    async def prefer(tx):
        await add_route(
            tx, model_id="openai/gpt-5", provider="openai", upstream_model="gpt-5", priority=9
        )

    await office.database.write(prefer)
    await connect(office, OPENAI_API_KEY="sk-1")

    (route,) = await list_routes(office.database, model_id="openai/gpt-5")
    assert route.priority == 9


async def test_a_provider_of_the_same_name_elsewhere_is_left_alone(office):
    own = {
        "name": "openai",
        "dialect": "openai-chat",
        "base_url": "http://127.0.0.1:9/v1",
        "secret": "own",
    }
    await perform(office, "provider.add", own)

    names = await connect(office, OPENAI_API_KEY="sk-1")

    providers = {p.name: p.secret for p in await list_providers(office.database, office.seal)}
    assert names == []
    assert providers["openai"] == "own"


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_every_vendor_serves_something(vendor):
    served = vendor_routes(vendor, builtin_models())

    assert served or vendor.name == "deepseek"


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
async def test_a_name_and_a_key_give_the_routes_that_the_variable_gives(office, vendor):
    async def routes():
        rows = await list_routes(office.database)
        return {
            (r.model_id, r.upstream_model, r.dialect) for r in rows if r.provider == vendor.name
        }

    await connect(office, **{vendor.variable: "sk-1"})
    by_variable = await routes()
    await perform(office, "provider.remove", {"name": vendor.name})

    await perform(office, "provider.add", {"name": vendor.name, "secret": "sk-1"})

    assert await routes() == by_variable
