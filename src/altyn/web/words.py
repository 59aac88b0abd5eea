"""Words, numbers, money and moments in the reader's language and time zone.

The source of every text is English, in the templates and beside the code; Russian stands in
`locale/ru/*.po`, a file for each part of the cabinet, which are read together.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, dates, numbers
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import NullTranslations, Translations

from altyn.database.engine import now_ms
from altyn.money import NANOS_PER_UNIT, Nanos, format_short

LOCALES = Path(__file__).parent / "locale"
LANGUAGES = {"ru": "Русский", "en": "English"}
CARD_PLACES = 2
LINE_PLACES = 6
"""Decimals of an amount on a card, and of one line: a call may cost less than a kopek."""

SYMBOL_FIRST = "¤#,##0.00;-¤#,##0.00"
RELATIVE_MAX_S = 7 * 86_400


@cache
def read_translations(language: str) -> NullTranslations:
    """The catalogue of a language. English is what is written in the code."""
    if language == "en":
        return NullTranslations()
    whole: Translations | None = None
    for path in sorted((LOCALES / language).glob("*.po")):
        with path.open("rb") as file:
            catalog = read_po(file, locale=language)
        compiled = BytesIO()
        write_mo(compiled, catalog)
        compiled.seek(0)
        part = Translations(compiled)
        whole = part if whole is None else whole.merge(part)
    return whole or NullTranslations()


def places(amounts: Iterable[int], *, exponent: int = 9) -> int:
    """How many decimals write each of these exactly, two at least. They are nanos, or whatever
    else ten to the power of minus *exponent* is.
    """
    exact = (Decimal(amount).scaleb(-exponent).normalize() for amount in amounts)
    return max(CARD_PLACES, *(-int(amount.as_tuple().exponent) for amount in exact))


class Words:
    """How one reader is spoken to. Money is given in nanos, moments in milliseconds."""

    def __init__(self, *, language: str, zone: str, currency: str) -> None:
        self.language = language
        self.zone = zone
        self.currency = currency
        self._locale = Locale.parse(language)
        self._zone = ZoneInfo(zone)
        self._translations = read_translations(language)

    @property
    def now(self) -> int:
        """The moment of the page, in milliseconds."""
        return now_ms()

    # Texts ------------------------------------------------------------------------------------

    def gettext(self, text: str, **facts: Any) -> str:
        """A text in the reader's language; `%(name)s` in it names a fact."""
        said: str = self._translations.gettext(text)
        return said % facts if facts else said

    def ngettext(self, one: str, many: str, count: int, **facts: Any) -> str:
        """A text that depends on a number, which it may name as `%(num)s`."""
        said: str = self._translations.ngettext(one, many, count)
        return said % {"num": self.number(count), **facts}

    # Numbers ----------------------------------------------------------------------------------

    def number(self, value: float) -> str:
        return str(numbers.format_decimal(value, locale=self._locale))

    def short_number(self, value: int) -> str:
        """`1.2M`, for cards; the exact number belongs into a title beside it."""
        return str(numbers.format_compact_decimal(value, locale=self._locale, fraction_digits=1))

    def seconds(self, milliseconds: int) -> str:
        """`1.84 s`."""
        pattern = "#,##0.00" if milliseconds < 10_000 else "#,##0.0"  # noqa: PLR2004 -- nobody needs the hundredths of a long one
        seconds = Decimal(milliseconds).scaleb(-3)
        value = numbers.format_decimal(seconds, pattern, locale=self._locale)
        unit = self.gettext("s")
        return f"{value}\N{NO-BREAK SPACE}{unit}"

    def percent(self, part: int, whole: int) -> str:
        """A share with one decimal; of nothing there is none."""
        if not whole:
            return "—"
        pattern = "#,##0.#\N{NO-BREAK SPACE}%" if self.language == "ru" else "#,##0.#%"
        share = Decimal(part) / Decimal(whole)
        return str(numbers.format_percent(share, pattern, locale=self._locale))

    def money(self, nanos: Nanos) -> str:
        """An amount with two decimals, rounded down: what is shown can be spent."""
        return self._money(nanos, "0.01", ROUND_DOWN, CARD_PLACES)

    def short_money(self, nanos: Nanos) -> str:
        """For cards: two decimals, but for less than one unit as many as a line has."""
        return self.line_money(nanos) if 0 < nanos < NANOS_PER_UNIT else self.money(nanos)

    def exact_money(self, nanos: Nanos) -> str:
        """An amount with all the decimals it has, two at least."""
        return self._money(nanos, "0.000000001", ROUND_HALF_EVEN, 9)

    def line_money(self, nanos: Nanos) -> str:
        """An amount with up to six decimals; one that is smaller is said to be smaller."""
        if 0 < nanos < 10 ** (9 - LINE_PLACES):
            return f"< {self._money(10 ** (9 - LINE_PLACES), '0.000001', ROUND_DOWN, LINE_PLACES)}"
        return self._money(nanos, "0.000001", ROUND_HALF_EVEN, LINE_PLACES)

    def plain_amount(self, nanos: Nanos) -> str:
        """An amount as it is written into a field."""
        return format_short(nanos)

    def lined_up_money(self, nanos: Nanos | Decimal, places: int) -> str:
        """An amount with exactly *places* decimals: in a column the points stand in one line."""
        step = f"{Decimal(1).scaleb(-places):f}"
        return self._money(nanos, step, ROUND_HALF_EVEN, places, fewest=places)

    def _money(
        self,
        nanos: Nanos | Decimal,
        step: str,
        rounding: str,
        places: int,
        *,
        fewest: int = CARD_PLACES,
    ) -> str:
        amount = (Decimal(nanos) / NANOS_PER_UNIT).quantize(Decimal(step), rounding=rounding)
        pattern = self._locale.currency_formats["standard"].pattern
        if self.language == "en":
            pattern = SYMBOL_FIRST
        decimals = f"0.{'0' * fewest}{'#' * (places - fewest)}"
        text = numbers.format_currency(
            amount,
            self.currency,
            format=pattern.replace("0.00", decimals),
            locale=self._locale,
            currency_digits=False,
        )
        # In English CLDR knows no sign for the rouble.
        return str(text).replace("-", "−").replace("RUB", "₽")

    # Moments ----------------------------------------------------------------------------------

    def moment(self, at_ms: int) -> str:
        """`25 Nov 2026, 14:05`, in the reader's zone."""
        return self._date(at_ms, "d MMM y, HH:mm")

    def exact_moment(self, at_ms: int) -> str:
        return self._date(at_ms, "d MMM y, HH:mm:ss ZZZZ")

    def day(self, at_ms: int) -> str:
        return self._date(at_ms, "d MMM y")

    def date(self, day: date) -> str:
        """A day that is the same one everywhere, such as the last day of a model."""
        return str(dates.format_date(day, "d MMM y", locale=self._locale))

    def short_day(self, at_ms: int) -> str:
        return self._date(at_ms, "d MMM")

    def clock(self, at_ms: int) -> str:
        return self._date(at_ms, "HH:mm")

    def hour_of_day(self, at_ms: int) -> str:
        return self._date(at_ms, "d MMM, HH:mm")

    def month(self, at_ms: int) -> str:
        """`November 2026`."""
        return self._date(at_ms, "LLLL y")

    def month_named(self, text: str) -> str:
        """The month of `2026-11`."""
        first = date.fromisoformat(f"{text}-01")
        return str(dates.format_date(first, "LLLL y", locale=self._locale))

    def ago(self, at_ms: int) -> str:
        """`5 minutes ago`; a date for what is longer ago than a week."""
        seconds = (now_ms() - at_ms) // 1000
        if abs(seconds) > RELATIVE_MAX_S:
            return self.day(at_ms)
        if abs(seconds) < 45:  # noqa: PLR2004 -- from here on Babel says "1 minute"
            return self.gettext("just now")
        return str(dates.format_timedelta(-seconds, add_direction=True, locale=self._locale))

    def local_iso(self, at_ms: int) -> str:
        """For a table that is taken along: to the millisecond, with the zone's offset."""
        moment = datetime.fromtimestamp(at_ms // 1000, self._zone)
        return moment.replace(microsecond=at_ms % 1000 * 1000).isoformat(timespec="milliseconds")

    def address_time(self, at_ms: int) -> str:
        """`2026-11-22T14:00` in the reader's zone, as a filter writes it."""
        return f"{datetime.fromtimestamp(at_ms // 1000, self._zone):%Y-%m-%dT%H:%M}"

    def address_day(self, at_ms: int) -> str:
        return self.address_time(at_ms)[:10]

    def iso(self, at_ms: int) -> str:
        """For machines, in UTC."""
        return datetime.fromtimestamp(at_ms // 1000, UTC).isoformat().replace("+00:00", "Z")

    @property
    def zone_name(self) -> str:
        """The reader's zone as they would name it: `Moscow`, and how far it is from Greenwich."""
        now = datetime.now(self._zone)
        city = dates.get_timezone_location(self._zone, locale=self._locale, return_city=True)
        return f"{city} ({dates.get_timezone_gmt(now, locale=self._locale)})"

    def _date(self, at_ms: int, pattern: str) -> str:
        moment = datetime.fromtimestamp(at_ms // 1000, self._zone)
        return str(dates.format_datetime(moment, pattern, locale=self._locale))
