"""On the way in: what is known of somebody so far, sealed, and brought back with the next step.

Nobody can just say how far they have come, and nothing is stored of those who never arrive.
"""

import base64
import secrets
from typing import TypeVar

import msgspec
from msgspec import Struct

from altyn.accounts.identities import Identity
from altyn.database.engine import now_ms
from altyn.errors import OperatorError
from altyn.web.visit import Visit

LASTS_MS = 10 * 60_000
"""How long the next step may take."""


class HalfWay(Struct, frozen=True, tag="second step"):
    """Somebody whose first step was right, when, and where they want to go."""

    user_id: int
    at: int
    next: str


class Journey(Struct, frozen=True, kw_only=True, tag="identity provider"):
    """A browser that was sent to the identity provider. What comes back must name `state`, the
    token must name `nonce`, and only whoever has `verifier` gets one for the code.
    """

    at: int
    next: str
    invitation: str
    state: str
    nonce: str
    verifier: str


class Introduced(Struct, frozen=True, kw_only=True, tag="password once"):
    """Somebody whom the provider knows, with the address of an account that wants its password."""

    at: int
    next: str
    identity: Identity


class Newcomer(Struct, frozen=True, kw_only=True, tag="consent"):
    """Somebody whom the provider knows and nobody here, before they agree to what is to be agreed
    to: their account is made after it.
    """

    at: int
    identity: Identity
    journey: Journey


Stage = TypeVar("Stage", HalfWay, Journey, Introduced, Newcomer)


def begin_journey(*, path: str, invitation: str) -> Journey:
    return Journey(
        at=now_ms(),
        next=path,
        invitation=invitation,
        state=secrets.token_urlsafe(32),
        nonce=secrets.token_urlsafe(32),
        verifier=secrets.token_urlsafe(48),
    )


def seal_stage(visit: Visit, stage: HalfWay | Journey | Introduced | Newcomer) -> str:
    plain = msgspec.json.encode(stage).decode()
    sealed = visit.shop.seal.seal(plain, purpose=_purpose(type(stage)))
    return base64.urlsafe_b64encode(sealed).decode()


def open_stage(visit: Visit, text: str, kind: type[Stage]) -> Stage | None:
    """How far they came, if it was a moment ago; None for anything that is not ours."""
    try:
        sealed = base64.urlsafe_b64decode(text)
        stage = msgspec.json.decode(visit.shop.seal.open(sealed, purpose=_purpose(kind)), type=kind)
    except (ValueError, OperatorError):
        return None
    return stage if now_ms() - stage.at < LASTS_MS else None


def _purpose(kind: type[Struct]) -> str:
    return str(kind.__struct_config__.tag)
