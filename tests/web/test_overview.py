"""The overview counts in the days of whoever reads it, as the usage page does."""

import asyncio
import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from people import sign_in

from altyn.database.engine import now_ms
from altyn.ledger.moves import Record
from altyn.web.pages.overview import DAYS, read_standing
from fakes.books import open_books, record
from fakes.past import Past

HOUR_MS = 3_600_000
WHOLE_HOURS = [
    ("Europe/Berlin", date(2026, 10, 25)),  # a day of 25 hours
    ("Europe/Berlin", date(2026, 3, 30)),  # after one of 23
    ("America/New_York", date(2026, 11, 2)),
    ("Pacific/Kiritimati", date(2026, 3, 1)),
    ("UTC", date(2026, 1, 1)),
]
HALF_HOURS = [
    ("Asia/Kolkata", date(2026, 11, 1)),
    ("America/St_Johns", date(2026, 3, 8)),  # of half hours, and a day of 23
    ("Pacific/Chatham", date(2026, 4, 6)),  # of three quarters, after a day of 25 hours
]


def midnight(day, zone):
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp()) * 1000


def moments_around(today, zone):
    """The edges of all days of two months, and what lies around them."""
    for back in range(62):
        at = midnight(today - timedelta(days=back), zone)
        yield from (at - 1, at, at + 20 * 60_000, at + 13 * HOUR_MS)


@pytest.fixture
async def live(sqlite_url):
    """`live(zone, today)`: the standing of an account with a call at each such moment."""
    async with open_books(sqlite_url) as books:
        account = await books.add_account()
        key = await books.add_key(account)

        async def live_it(zone, today):
            calls = [
                record(account, key, f"r{number:03}", number + 1, created_at=at)
                for number, at in enumerate(moments_around(today, zone))
            ]
            await asyncio.gather(
                *(
                    books.writer.post(Record(request_id=call.request_id, record=call))
                    for call in calls
                )
            )
            return calls, await read_standing(books.database, account, zone=zone, today=today)

        yield live_it


def spent(calls, zone, first, last):
    """Requests and charges from one day to another, as a calendar counts them."""
    days = [
        (datetime.fromtimestamp(call.created_at / 1000, ZoneInfo(zone)).date(), call.charge_nanos)
        for call in calls
    ]
    inside = [charge for day, charge in days if first <= day <= last]
    return len(inside), sum(inside)


@pytest.mark.parametrize(("zone", "today"), [*WHOLE_HOURS, *HALF_HOURS])
async def test_every_figure_is_of_the_readers_days(live, zone, today):
    calls, standing = await live(zone, today)

    month = today.replace(day=1)
    ends = month - timedelta(days=1)
    spans = {
        "today": (today, today),
        "month": (month, today),
        "last_month": (ends.replace(day=1), ends),
        "recent": (today - timedelta(days=DAYS - 1), today),
    }
    for name, (first, last) in spans.items():
        figure = getattr(standing, name)
        assert (figure.requests, figure.charge_nanos) == spent(calls, zone, first, last), name


@pytest.mark.parametrize(("zone", "today"), WHOLE_HOURS)
async def test_every_bar_is_a_day_of_the_readers_also_when_the_clocks_change(live, zone, today):
    calls, standing = await live(zone, today)

    days = [today - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    assert standing.by_day == [
        (midnight(day, zone), spent(calls, zone, day, day)[1]) for day in days
    ]


@pytest.mark.parametrize(("zone", "today"), HALF_HOURS)
async def test_bars_of_a_zone_of_half_hours_lose_nothing(live, zone, today):
    _, standing = await live(zone, today)

    assert sum(nanos for _, nanos in standing.by_day) == standing.recent.charge_nanos
    assert standing.by_day[-1] == (midnight(today, zone), standing.today.charge_nanos)


def figures(page):
    """The exact amount of each figure of a page, by its label."""
    return dict(re.findall(r'<dt>([^<]+)</dt><dd title="([^"]+)">', page.text))


# One of the first two is in another day than Greenwich at any moment.
@pytest.mark.parametrize(
    "zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Kolkata", "Europe/Berlin"]
)
def test_overview_and_usage_mean_the_same_day_and_month(cabinet, zone):
    now = now_ms()
    today = datetime.fromtimestamp(now / 1000, ZoneInfo(zone)).date()
    utc = datetime.fromtimestamp(now / 1000, UTC).date()
    with sign_in(cabinet) as person:
        key_id, _ = person.create_key("prod")
        account_id = person.account_id
        past = Past(cabinet.app.desk, cabinet.app.writer, account_id=account_id, seed=account_id)
        edges = [midnight(today, zone), midnight(utc, "UTC")]
        edges += [midnight(day.replace(day=1), of) for day, of in ((today, zone), (utc, "UTC"))]

        async def live_it():
            await past.pay_in(50 * 10**9, at=now - 40 * 24 * HOUR_MS)
            for at in sorted({min(edge + 60_000, now - 1) for edge in edges}):
                await past.call("charged", at=at, key_id=key_id)

        cabinet.run(live_it())
        cabinet.write(
            lambda tx: tx.execute("UPDATE users SET zone = $2 WHERE id = $1", person.user_id, zone)
        )
        overview = figures(person.get("/app"))

        used_today = figures(person.get("/app/usage?period=today"))["Spent"]
        used_in_month = figures(person.get("/app/usage?period=month"))["Spent"]

    assert overview["Spent today"] == used_today
    assert overview["This month"] == used_in_month
