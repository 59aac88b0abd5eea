"""The form of a key: what was written in it, and the rules it makes, or what is wrong with it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeVar, cast, get_args

from msgspec import Struct

from altyn.database.engine import now_ms
from altyn.errors import InvalidAmountError, OperatorError
from altyn.keys.key import Mode, Period
from altyn.keys.store import SCOPES, Key, KeyRules, check_rules
from altyn.money import Nanos, format_short, parse_nanos
from altyn.web.visit import Visit

T = TypeVar("T")
NAME_LENGTH_MAX = 100
RATE_MAX = 1_000_000_000
DAYS = ("7", "30", "90")
Expiry = Literal["never", "7", "30", "90", "date"]


class KeyForm(Struct, frozen=True, kw_only=True):
    """The fields as they were written, to be shown again beside what is wrong with them."""

    name: str = ""
    mode: Mode = "live"
    limit: str = ""
    period: Period = "total"
    models: tuple[str, ...] = ()
    requests_per_minute: str = ""
    tokens_per_minute: str = ""
    parallel_requests: str = ""
    expiry: str = "never"
    expires_on: str = ""
    ip_ranges: str = ""
    scopes: tuple[str, ...] = SCOPES

    @property
    def is_plain(self) -> bool:
        """Whether nothing but name, mode and limit was touched: the rest may stay folded."""
        plain = KeyForm(name=self.name, mode=self.mode, limit=self.limit, period=self.period)
        return self == plain


BLANK = KeyForm()


def written_form(key: Key) -> KeyForm:
    """The form as it would have to be filled in to make this key."""
    rules = key.rules
    # The rule is the midnight after the last day.
    last_day = rules.expires_at and datetime.fromtimestamp(rules.expires_at // 1000 - 1, UTC)
    return KeyForm(
        name=key.name,
        mode=key.mode,
        limit="" if rules.limit_nanos is None else format_short(rules.limit_nanos),
        period=rules.limit_period,
        models=rules.models or (),
        requests_per_minute=_text(rules.requests_per_minute),
        tokens_per_minute=_text(rules.tokens_per_minute),
        parallel_requests=_text(rules.parallel_requests),
        expiry="date" if last_day else "never",
        expires_on=f"{last_day:%Y-%m-%d}" if last_day else "",
        ip_ranges="\n".join(rules.ip_ranges or ()),
        scopes=rules.scopes or SCOPES,
    )


def _text(number: int | None) -> str:
    return "" if number is None else str(number)


async def read_key_form(visit: Visit) -> tuple[KeyForm, KeyRules | None, dict[str, str]]:
    """The form, its rules, and what is wrong by field: either rules or something wrong."""
    form = _written(visit)
    wrong: dict[str, str] = {}
    rules = KeyRules(
        limit_nanos=_tried(wrong, "limit", visit, lambda: _amount(form.limit)),
        limit_period=form.period,
        expires_at=_tried(wrong, "expires_on", visit, lambda: _expires_at(form)),
        models=form.models or None,
        ip_ranges=_tried(wrong, "ip_ranges", visit, lambda: _ranges(form.ip_ranges)),
        scopes=None if set(form.scopes) == set(SCOPES) else form.scopes,
        requests_per_minute=_tried(
            wrong, "requests_per_minute", visit, lambda: _rate(form.requests_per_minute)
        ),
        tokens_per_minute=_tried(
            wrong, "tokens_per_minute", visit, lambda: _rate(form.tokens_per_minute)
        ),
        parallel_requests=_tried(
            wrong, "parallel_requests", visit, lambda: _rate(form.parallel_requests)
        ),
    )
    if not form.name:
        wrong["name"] = visit.gettext("Give the key a name by which you will know it again.")
    if not form.scopes:
        wrong["scopes"] = visit.gettext("Choose at least one.")
    if not set(form.models) <= {model.id for model in visit.shop.models}:
        wrong["models"] = visit.gettext("One of these models is not on sale.")
    return form, None if wrong else rules, wrong


def _written(visit: Visit) -> KeyForm:
    mode, period = visit.field("mode"), visit.field("period")
    return KeyForm(
        name=visit.field("name")[:NAME_LENGTH_MAX],
        mode=cast("Mode", mode) if mode in get_args(Mode) else "live",
        limit=visit.field("limit")[:40],
        period=cast("Period", period) if period in get_args(Period) else "total",
        models=tuple(visit.fields("models")),
        requests_per_minute=visit.field("requests_per_minute")[:20],
        tokens_per_minute=visit.field("tokens_per_minute")[:20],
        parallel_requests=visit.field("parallel_requests")[:20],
        expiry=visit.field("expiry") or "never",
        expires_on=visit.field("expires_on")[:10],
        ip_ranges=visit.field("ip_ranges")[:4000],
        scopes=tuple(scope for scope in SCOPES if scope in visit.fields("scopes")),
    )


def _tried(wrong: dict[str, str], field: str, visit: Visit, read: Callable[[], T]) -> T | None:
    """What a reader makes of a field; if it cannot, the field says what it expects."""
    try:
        return read()
    except (ValueError, OperatorError):
        wrong[field] = _expected(field, visit)
        return None


def _expected(field: str, visit: Visit) -> str:
    if field == "limit":
        return visit.gettext("Write an amount, such as 50 or 12.40.")
    if field == "expires_on":
        return visit.gettext("Choose a day in the future.")
    if field == "ip_ranges":
        return visit.gettext("Write addresses or ranges, one on a line: 203.0.113.7 or 10.0.0.0/8.")
    return visit.gettext("Write a whole number, or leave it empty.")


def _amount(text: str) -> Nanos | None:
    """An amount as people write it: with a comma, or with blanks between thousands."""
    if not text:
        return None
    plain = "".join(text.split()).replace(",", ".")
    nanos = parse_nanos(plain)
    if nanos < 0:
        raise InvalidAmountError(text)
    return nanos


def _expires_at(form: KeyForm) -> int | None:
    """The end of the chosen day, in UTC."""
    if form.expiry == "never":
        return None
    if form.expiry in DAYS:
        day = datetime.now(UTC).date() + timedelta(days=int(form.expiry))
    else:
        day = datetime.strptime(form.expires_on, "%Y-%m-%d").replace(tzinfo=UTC).date()
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    at = int(midnight.timestamp()) * 1000
    if at <= now_ms() + 1000:
        raise ValueError(form.expires_on)
    return at


def _ranges(text: str) -> tuple[str, ...] | None:
    ranges = tuple(text.replace(",", " ").split())
    check_rules(KeyRules(ip_ranges=ranges))
    return ranges or None


def _rate(text: str) -> int | None:
    if not text:
        return None
    number = int("".join(text.split()))
    if not 0 < number <= RATE_MAX:
        raise ValueError(text)
    return number
