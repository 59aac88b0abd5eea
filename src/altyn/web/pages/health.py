"""How the place itself does, for the operator: what is looked at, what was found, what to do."""

import platform
import time
from pathlib import Path
from typing import Literal

from msgspec import Struct
from starlette.responses import Response

from altyn import __version__
from altyn.database.engine import StoreUnavailableError, Transaction, now_ms
from altyn.database.migrate import head_revision
from altyn.ledger.audit import audit_quickly
from altyn.web.texts import N_
from altyn.web.visit import Visit

DAY_MS = 86_400_000
BEAT_MAX_MS = 60_000
MIB = 1024 * 1024


class Check(Struct, frozen=True, kw_only=True):
    """One thing that was looked at; `found` is in the reader's words already."""

    name: str
    found: str
    state: Literal["good", "warn", "bad"] = "good"
    advice: str = ""
    command: str = ""


async def show(visit: Visit) -> Response:
    """`GET /admin/health`"""
    checks = [
        Check(name=N_("Version"), found=f"Altyn {__version__}, Python {platform.python_version()}"),
        await _store(visit),
        await _ledger(visit),
        await _workers(visit),
        await _holds(visit),
        _providers(visit),
        await _calls(visit),
    ]
    return await visit.page("admin/health.html", checks=checks)


async def _store(visit: Visit) -> Check:
    database, started_s = visit.shop.database, time.monotonic()
    try:
        await database.write(_nothing)
    except StoreUnavailableError as error:
        return Check(
            name=N_("Database"),
            state="bad",
            found=visit.gettext("It cannot be written: %(why)s.", why=error.detail),
            advice=N_("No paid call is taken until it can. See the disk and the database's log."),
        )
    found = visit.gettext(
        "%(kind)s, revision %(revision)s, a write takes %(ms)s ms",
        kind={"sqlite": "SQLite", "postgresql": "PostgreSQL"}[database.kind],
        revision=head_revision(),
        ms=round((time.monotonic() - started_s) * 1000),
    )
    if database.kind == "sqlite":
        size = visit.words.number(round(_size_bytes(visit) / MIB, 1))
        found += visit.gettext(", %(size)s MiB", size=size)
    return Check(name=N_("Database"), found=found)


async def _ledger(visit: Visit) -> Check:
    """The balances as they are now, and what the auditor has found behind them."""
    now = await audit_quickly(visit.shop.database)
    found = {(one.invariant, one.account_id): one for one in (*visit.shop.breaches(), *now)}
    if not found:
        return Check(name=N_("Ledger"), found=visit.gettext("It adds up."))
    at_large = all(one.account_id is None for one in found.values())
    return Check(
        name=N_("Ledger"),
        state="bad",
        found="; ".join(finding.sentence for finding in found.values()),
        advice=N_("Stop selling, and look at every entry:")
        if at_large
        else N_("The accounts named here are frozen, others are served. Look at every entry:"),
        command="altyn ledger verify",
    )


async def _workers(visit: Visit) -> Check:
    ((alive,),) = await visit.shop.database.read(
        "SELECT COUNT(*) FROM workers WHERE stopped_at IS NULL AND heartbeat_at > $1",
        now_ms() - BEAT_MAX_MS,
    )
    words = visit.ngettext("%(num)s process", "%(num)s processes", alive)
    running = len(visit.shop.desk.attempts)
    calls = visit.ngettext("%(num)s running call here", "%(num)s running calls here", running)
    return Check(name=N_("Processes"), found=f"{words}, {calls}")


async def _holds(visit: Visit) -> Check:
    now = now_ms()
    ((count, late),) = await visit.shop.database.read(
        "SELECT COUNT(*), COALESCE(SUM(CASE WHEN lease_expires_at < $1 THEN 1 ELSE 0 END), 0)"
        " FROM holds",
        now - BEAT_MAX_MS,
    )
    if late:
        return Check(
            name=N_("Holds"),
            state="warn",
            found=visit.gettext("%(late)s of %(count)s are late", late=int(late), count=count),
            advice=N_("They are resolved within a minute; if they stay, see the log."),
        )
    return Check(name=N_("Holds"), found=visit.ngettext("%(num)s open", "%(num)s open", count))


def _providers(visit: Visit) -> Check:
    shelf = visit.shop.desk.shelf
    goods = [] if shelf is None else list(shelf.goods.values())
    silent = [one.model.id for one in goods if not one.targets]
    real = {
        target.provider.name
        for one in goods
        for target in one.targets
        if target.provider.dialect != "sandbox"
    }
    if not real:
        return Check(
            name=N_("Providers"),
            state="warn",
            found=visit.gettext("Only the sandbox: nothing real can be sold yet."),
            advice=N_("Start with a vendor's key:"),
            command="OPENROUTER_API_KEY=… altyn up",
        )
    found = ", ".join(sorted(real))
    if silent:
        without = visit.ngettext(
            "%(num)s model without a route", "%(num)s models without a route", len(silent)
        )
        return Check(
            name=N_("Providers"),
            state="warn",
            found=f"{found}; {without}",
            advice=N_("Calls of these models get 503 until they have one:"),
            command="altyn route add MODEL PROVIDER",
        )
    return Check(name=N_("Providers"), found=found)


async def _calls(visit: Visit) -> Check:
    rows = await visit.shop.database.read(
        "SELECT status, CAST(SUM(requests) AS BIGINT) FROM usage_hours"
        " WHERE mode = 'live' AND hour_at >= $1 GROUP BY status",
        now_ms() - DAY_MS,
    )
    by_status = {status: int(requests) for status, requests in rows}
    total, errors = sum(by_status.values()), by_status.get("error", 0)
    found = visit.ngettext("%(num)s live call", "%(num)s live calls", total)
    failed = visit.words.percent(errors, total)
    share = visit.gettext("%(share)s failed", share=failed)
    return Check(
        name=N_("Last 24 hours"),
        state="warn" if errors * 20 > total else "good",
        found=f"{found}, {share}" if total else found,
    )


def _size_bytes(visit: Visit) -> int:
    return Path(visit.shop.settings.database_url.removeprefix("sqlite:///")).stat().st_size


async def _nothing(tx: Transaction) -> None:
    """A transaction that only shows that one can be had."""
    await tx.fetch("SELECT 1")
