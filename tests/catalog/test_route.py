import pytest

from altyn.catalog.route import add_route, list_routes
from altyn.control.office import open_office
from altyn.settings import read_settings

MODEL = "openai/gpt-5.2-pro"


@pytest.fixture
async def database(migrated_url, tmp_path):
    settings = read_settings({}, home=tmp_path, overrides={"database_url": migrated_url})
    async with open_office(settings) as office:
        yield office.database


async def add(database, **changes):
    async def add_it(tx):
        return await add_route(tx, **{"model_id": MODEL, "provider": "sandbox", **changes})

    return await database.write(add_it)


async def test_a_route_speaks_the_dialect_of_its_provider(database):
    await add(database)

    (route,) = await list_routes(database, model_id=MODEL)
    assert route.dialect == "sandbox"


async def test_a_route_may_speak_a_dialect_of_its_own(database):
    await add(database, dialect="openai-responses")

    (route,) = await list_routes(database, model_id=MODEL)
    assert route.dialect == "openai-responses"


async def test_a_route_that_is_added_again_keeps_its_dialect(database):
    first = await add(database, dialect="openai-responses")
    second = await add(database, priority=7)

    (route,) = await list_routes(database, model_id=MODEL)
    assert first == second
    assert (route.dialect, route.priority) == ("openai-responses", 7)
