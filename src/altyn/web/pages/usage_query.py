"""Which requests a page is about: the filter as it stands in the address, read and written."""

from typing import Any, get_args
from urllib.parse import urlencode

from msgspec import Struct

from altyn.errors import InvalidParameterError
from altyn.keys.store import Key, list_keys
from altyn.usage.record import Mode, Status
from altyn.usage.report import Filter, list_models
from altyn.web.period import DAY_MS, Period, read_period
from altyn.web.texts import N_
from altyn.web.visit import Visit

STATUSES = {"success": N_("Success"), "error": N_("Error"), "cancelled": N_("Cancelled")}
MODES = {"live": N_("Live"), "test": N_("Test")}
MODELS_OF_DAYS = 90
NAME_MAX = 200


class Asked(Struct, frozen=True, kw_only=True):
    """A filter as it was asked for. An empty text is no filter."""

    period: Period
    model: str = ""
    key: str = ""
    status: str = ""
    mode: str = ""

    def filter(self, account_id: int) -> Filter:
        """The records of *account_id* that it chooses."""
        return Filter(
            account_id=account_id,
            since=self.period.since,
            until=self.period.until,
            model=self.model or None,
            key_id=int(self.key) if self.key else None,
            status=self.status or None,
            mode=self.mode or None,
        )

    def link(self, path: str, **changes: Any) -> str:
        """The address of *path* with this filter and *changes*; an empty one is left out."""
        facts: dict[str, Any] = {"period": self.period.name}
        if self.period.name == "custom":
            facts |= {"from": self.period.begins, "to": self.period.ends}
        for name in ("model", "key", "status", "mode"):
            facts[name] = getattr(self, name)
        facts |= changes
        return f"{path}?{urlencode({name: value for name, value in facts.items() if value != ''})}"

    @property
    def narrowed(self) -> list[str]:
        """The names of what is filtered beside the time."""
        return [name for name in ("model", "key", "status", "mode") if getattr(self, name)]


def read_asked(visit: Visit, **more: Any) -> Asked:
    """The filter in the address. Raises `InvalidParameterError` for one that cannot be."""
    key, model = visit.query("key"), visit.query("model")
    if key and not (key.isascii() and key.isdigit() and len(key) < 19):  # noqa: PLR2004 -- what a BIGINT holds
        raise InvalidParameterError(param="key", reason="name")
    if len(model) > NAME_MAX or not model.isprintable():
        raise InvalidParameterError(param="model", reason="name")
    return Asked(
        period=read_period(visit, **more),
        model=model,
        key=key,
        status=read_choice(visit, "status", get_args(Status)),
        mode=read_choice(visit, "mode", get_args(Mode)),
    )


def read_choice(visit: Visit, name: str, choices: tuple[str, ...], otherwise: str = "") -> str:
    """One of a few words. Raises `InvalidParameterError` for another."""
    value = visit.query(name) or otherwise
    if value and value not in choices:
        raise InvalidParameterError(param=name, reason="one_of", choices=", ".join(choices))
    return value


class Choices(Struct, frozen=True, kw_only=True):
    """What can be chosen from in the filter bar: what this account has, and no other's."""

    keys: dict[int, Key]
    models: list[str]


async def find_choices(visit: Visit, asked: Asked) -> Choices:
    database, account_id = visit.shop.database, visit.me.account_id
    since = min(asked.period.since, asked.period.until - MODELS_OF_DAYS * DAY_MS)
    models = await list_models(database, account_id, since=since, until=asked.period.until)
    return Choices(
        keys=await find_keys(visit),
        models=sorted({*models, asked.model} - {""}),
    )


async def find_keys(visit: Visit) -> dict[int, Key]:
    """The account's keys by their ids, to be called by their names."""
    keys = await list_keys(visit.shop.database, account_id=visit.me.account_id)
    return {key.id: key for key in keys}
