"""`altyn doctor`: what is in order, what is not, and what to do about it. Changes nothing."""

import os
import platform
import shutil
import sqlite3
import stat
import sys
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from altyn.catalog.load import Catalog, load_catalog
from altyn.catalog.preview import find_losses
from altyn.control.line import is_served
from altyn.control.models import find_endings
from altyn.control.office import Office, iso
from altyn.control.port import choose_port
from altyn.control.prices import served_by
from altyn.database.durability import look_at_durability
from altyn.database.engine import now_ms
from altyn.database.migrate import head_revision
from altyn.database.seal import ROOT_FILE, load_root
from altyn.database.sqlite import SAFE_VERSION
from altyn.errors import OperatorError
from altyn.ledger.workers import NOW
from altyn.settings import Settings
from altyn.upstream.provider import list_providers

MIB = 1024 * 1024
DISK_WARN_MIB = 1024
DISK_FAIL_MIB = 100
CLOCK_SKEW_MS = 5000


class Check(Struct, kw_only=True):
    """One thing looked at; `advice` says what to do where something is to be done."""

    name: str
    state: Literal["ok", "warn", "fail"] = "ok"
    found: str
    advice: str = ""


# Outside the store ----------------------------------------------------------------------------


def examine_place(settings: Settings) -> list[Check]:
    """What can be seen without opening the store: program, home, disk, port."""
    checks = [_python(), _home(settings.home)]
    if settings.database_url.startswith("sqlite:"):
        checks.append(_sqlite_version())
    if settings.home.is_dir():
        checks += [_secret_key(settings.home), _disk(settings.home)]
    checks.append(_port(settings))
    return checks


def _python() -> Check:
    return Check(name="python", found=f"{platform.python_version()} at {sys.executable}")


def _sqlite_version() -> Check:
    if sqlite3.sqlite_version_info >= SAFE_VERSION:
        return Check(name="sqlite", found=sqlite3.sqlite_version)
    safe = ".".join(map(str, SAFE_VERSION))
    return Check(
        name="sqlite",
        found=f"{sqlite3.sqlite_version}: before {safe} two writers could damage a WAL file;"
        " Altyn has only one",
    )


def _home(home: Path) -> Check:
    if not home.exists():
        return Check(
            name="home", state="warn", found=f"{home} is not there", advice="Run 'altyn up'."
        )
    if not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        return Check(
            name="home",
            state="fail",
            found=f"{home} cannot be written",
            advice="Give it to the user who runs Altyn, or set ALTYN_HOME.",
        )
    if stat.S_IMODE(home.stat().st_mode) & 0o077:
        return Check(
            name="home",
            state="warn",
            found=f"{home} can be read by other users",
            advice=f"Run 'chmod 700 {home}'.",
        )
    return Check(name="home", found=str(home))


def _secret_key(home: Path) -> Check:
    path = home / ROOT_FILE
    if not path.exists():
        return Check(
            name="secret.key",
            state="warn",
            found="not there",
            advice="It is made at the first start. After that it must be kept with the backups.",
        )
    try:
        load_root(home)
    except OperatorError as error:
        return Check(name="secret.key", state="fail", found=str(error))
    return Check(name="secret.key", found="whole, and readable by its owner only")


def _disk(home: Path) -> Check:
    free_mib = shutil.disk_usage(home).free // MIB
    found = f"{free_mib} MiB free"
    if free_mib >= DISK_WARN_MIB:
        return Check(name="disk", found=found)
    return Check(
        name="disk",
        state="fail" if free_mib < DISK_FAIL_MIB else "warn",
        found=found,
        advice="Make room: without it no paid call can be taken.",
    )


def _port(settings: Settings) -> Check:
    place = f"{settings.host}:{settings.port}"
    try:
        choose_port(settings.host, settings.port, fixed=True)
    except OperatorError as error:
        if is_served(settings):
            return Check(name="port", found=f"{place} is taken, as it should be: Altyn is running")
        return Check(name="port", state="warn", found=str(error))
    return Check(name="port", found=f"{place} is free")


# Inside the store -----------------------------------------------------------------------------


async def examine(office: Office) -> list[Check]:
    """What the store says: its settings, its clock, providers, models, open holds."""
    checks: list[Check] = [Check(name="database", found=f"revision {head_revision()}")]
    for look in (_durability, _clock, _providers, _models, _holds):
        checks += await look(office)
    return checks


Look = Callable[[Office], Awaitable[Iterable[Check]]]


async def _durability(office: Office) -> list[Check]:
    return [
        Check(name=found.wanted.name, found=found.value)
        if found.good
        else Check(
            name=found.wanted.name,
            state="fail" if found.wanted.grave else "warn",
            found=found.value,
            advice=f"Must be {found.wanted.good[0]}, or a power cut can lose paid money."
            if found.wanted.grave
            else f"Set it to {found.wanted.good[0]}, unless the disk never tears a page in two.",
        )
        for found in await look_at_durability(office.database)
    ]


async def _clock(office: Office) -> list[Check]:
    rows = await office.database.read(
        f"SELECT {NOW[office.database.kind]}, (SELECT MAX(at) FROM entries)"  # noqa: S608 -- ours
    )
    theirs, newest = rows[0]
    now = now_ms()
    if abs(theirs - now) > CLOCK_SKEW_MS:
        return [
            Check(
                name="clock",
                state="warn",
                found=f"the database's differs by {abs(theirs - now)} ms",
                advice="Set both clocks by NTP.",
            )
        ]
    if newest is not None and newest > now + CLOCK_SKEW_MS:
        return [
            Check(
                name="clock",
                state="warn",
                found=f"{iso(now)}, but the newest entry is of {iso(newest)}",
                advice="Set the clock by NTP.",
            )
        ]
    return [Check(name="clock", found=iso(now))]


async def _providers(office: Office) -> list[Check]:
    try:
        providers = await list_providers(office.database, office.seal)
    except OperatorError as error:
        return [Check(name="providers", state="fail", found=str(error))]
    real = [provider for provider in providers if provider.dialect != "sandbox"]
    bare = [provider.name for provider in real if provider.secret is None]
    if bare:
        return [
            Check(
                name="providers",
                state="warn",
                found=f"without a key: {', '.join(bare)}",
                advice="Right for an own server only; else remove it and add it with its key.",
            )
        ]
    if not real:
        return [
            Check(
                name="providers",
                state="warn",
                found="only the sandbox",
                advice="Set a vendor's variable (OPENROUTER_API_KEY), or 'altyn provider add'.",
            )
        ]
    return [Check(name="providers", found=", ".join(provider.name for provider in real))]


async def _models(office: Office) -> list[Check]:
    catalog = await load_catalog(office.database)
    now = now_ms()
    served = {model: catalog.serving(model) for model in catalog.models}
    unrouted = [model for model, by in served.items() if not catalog.routes.get(by)]
    unpriced = [model for model, by in served.items() if catalog.find_rate(by, None, now) is None]
    count = len(catalog.models)
    return [
        *_endings(catalog),
        *_margins(catalog, now),
        _lacking("routes", unrouted, count, "Callers get 503: 'altyn route add MODEL PROVIDER'."),
        _lacking("prices", unpriced, count, "Callers get 409: 'altyn price set MODEL …'."),
    ]


def _endings(catalog: Catalog) -> list[Check]:
    """Warnings of models that a vendor ends within a month, or has ended, and nobody replaced."""
    endings = find_endings(catalog)
    sorts = (("retiring", False), ("retired", True))
    return [
        Check(
            name=name,
            state="warn",
            found=", ".join(f"{ending.model} ({ending.retires_at})" for ending in found),
            advice=f"'altyn model replace {found[0].model} {found[0].replaced_by or 'NEW'}' keeps a"
            " name on sale; without it only providers other than the vendor are asked.",
        )
        for name, retired in sorts
        if (found := [ending for ending in endings if ending.retired is retired])
    ]


def _margins(catalog: Catalog, now: int) -> list[Check]:
    """A warning for each model that some accounts buy below its cost, meant or not."""
    losses = find_losses(catalog.prices, served_by(catalog), [now])
    models = sorted({loss.model_id for loss in losses if loss.model_id in catalog.models})
    if not models:
        return []
    return [
        Check(
            name="margin",
            state="warn",
            found=f"sold below cost: {', '.join(models)}",
            advice="'altyn price history MODEL' shows who set it.",
        )
    ]


def _lacking(name: str, lacking: list[str], count: int, advice: str) -> Check:
    if not lacking:
        return Check(name=name, found=f"all {count} models have one")
    shown = ", ".join(lacking[:3]) + (", …" if len(lacking) > 3 else "")  # noqa: PLR2004 -- a line holds three
    return Check(
        name=name,
        state="warn",
        found=f"{len(lacking)} of {count} models have none: {shown}",
        advice=advice,
    )


async def _holds(office: Office) -> list[Check]:
    now = NOW[office.database.kind]
    rows = await office.database.read(
        "SELECT count(*), COALESCE(SUM(CASE WHEN"  # noqa: S608 -- all of it is ours
        f" lease_expires_at < {now} - 60000 THEN 1 ELSE 0 END), 0) FROM holds"
    )
    count, late = int(rows[0][0]), int(rows[0][1])
    if late:
        return [
            Check(
                name="holds",
                state="warn",
                found=f"{late} of {count} have outlived their lease",
                advice="A running server resolves them within a minute: start it.",
            )
        ]
    return [Check(name="holds", found=f"{count} open")]


def is_healthy(checks: Iterable[dict[str, Any]]) -> bool:
    return all(check["state"] != "fail" for check in checks)
