"""How often pages may be asked for: by address for strangers, by person for those signed in."""

import ipaddress
from typing import Literal

from msgspec import Struct

from altyn.keys.limits import Limits, Rates


class Limit(Struct, frozen=True):
    """So many requests a minute, counted by address or by person."""

    per_minute: int
    by: Literal["address", "person"] = "person"


class Turnstile:
    """Counts what goes through, in the same buckets as the API's own limits."""

    def __init__(self, *, workers: int) -> None:
        self._workers = workers
        self._limits: dict[int, tuple[Limits, Rates]] = {}

    def enter(self, place: str, who: str, *, per_minute: int) -> None:
        """Let one more through. Raises `RateLimitExceededError` with the seconds to wait."""
        limits, rates = self._limits.setdefault(
            per_minute, (Limits(workers=self._workers), Rates(requests_per_minute=per_minute))
        )
        number = hash((place, who))
        limits.enter_local(account_id=number, account=rates, key_id=number).leave()

    def forget(self) -> None:
        """Let everybody begin with full buckets."""
        self._limits.clear()


def neighbourhood(address: str) -> str:
    """An address as it is counted: whoever has one of IPv6 has 2^64 of them."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return address
    if number.version == 4:  # noqa: PLR2004 -- IPv4
        return address
    return str(ipaddress.ip_network((number, 64), strict=False))
