"""Between the password and the second step: sealed, so that nobody can just say they are there."""

import base64

import msgspec
from msgspec import Struct

from altyn.database.engine import now_ms
from altyn.errors import OperatorError
from altyn.web.visit import Visit

LASTS_MS = 5 * 60_000
"""How long the second step may take after the first."""

PURPOSE = "second step"


class HalfWay(Struct, frozen=True):
    """Somebody whose password was right, when, and where they want to go."""

    user_id: int
    at: int
    next: str


def seal_half_way(visit: Visit, half: HalfWay) -> str:
    plain = msgspec.json.encode(half).decode()
    return base64.urlsafe_b64encode(visit.shop.seal.seal(plain, purpose=PURPOSE)).decode()


def open_half_way(visit: Visit, text: str) -> HalfWay | None:
    """Whoever came so far, if it was a moment ago; None for anything that is not ours."""
    try:
        sealed = base64.urlsafe_b64decode(text)
        half = msgspec.json.decode(visit.shop.seal.open(sealed, purpose=PURPOSE), type=HalfWay)
    except (ValueError, OperatorError):
        return None
    return half if now_ms() - half.at < LASTS_MS else None
