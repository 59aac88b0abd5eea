"""Coming in through the identity provider: there, back, and to which account.

The provider says who somebody is. Which account that opens is decided here: the one that was
connected before, or the one of the same address, if the provider has made sure of it.
"""

import hmac
from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response

from altyn.accounts.consents import record_consents
from altyn.accounts.identities import Identity, connect, disconnect, find_candidate, find_user_of
from altyn.accounts.password import LENGTH_MAX, check_password
from altyn.accounts.store import Profile, add_user, confirm_email, find_password, normal_email
from altyn.database.engine import Transaction, now_ms
from altyn.errors import AlreadyExistsError, NotFoundError, OperatorError
from altyn.web.half_way import (
    LASTS_MS,
    Introduced,
    Journey,
    Newcomer,
    begin_journey,
    open_stage,
    seal_stage,
)
from altyn.web.mail import send_connected
from altyn.web.pages.entrance import TRIES_PER_MINUTE, check_consents, let_in, may_sign_up
from altyn.web.proof import find_doubt
from altyn.web.refusal import SignInRefusedError
from altyn.web.texts import N_
from altyn.web.ticket import take_ticket, use_nonce
from altyn.web.visit import Visit

if TYPE_CHECKING:
    from altyn.web.identity import IdentityProvider

PATH_LENGTH_MAX = 1000
"""A way back that is longer does not fit into a cookie."""

REASONS = {
    "away": N_("%(provider)s cannot be reached now. Try again in a moment."),
    "stale": N_("This sign-in was begun in another place, or too long ago. Begin again."),
    "declined": N_("%(provider)s did not let you in, or you did not agree there."),
    "doubtful": N_("What %(provider)s said of you could not be verified. Begin again."),
    "unconfirmed": N_("%(provider)s has not confirmed your e-mail. Confirm it there, then come."),
    "closed": N_("You have no account here yet, and new ones are not made now."),
    "invite": N_("You have no account here yet. To make one, open your invitation first."),
}


async def start(visit: Visit) -> Response:
    """`GET /oauth/start`: a link, because the policy of our forms ends at our own address."""
    provider = _provider(visit)
    path = visit.back(otherwise="/app")
    journey = begin_journey(
        path=path if len(path) < PATH_LENGTH_MAX else "/app", invitation=visit.query("t")[:100]
    )
    try:
        response: Response = RedirectResponse(await provider.begin(journey), status_code=303)
    except SignInRefusedError as refused:
        return await _refuse(visit, refused.reason, path=path)
    response.set_cookie(
        _cookie(visit),
        seal_stage(visit, journey),
        max_age=LASTS_MS // 1000,
        httponly=True,
        # The way back begins at the provider, and is still to bring it.
        samesite="lax",
        secure=visit.secure,
    )
    return response


async def come_back(visit: Visit) -> Response:
    """`GET /oauth/callback`, where the provider sends the browser; once for each start."""
    provider = _provider(visit)
    journey = open_stage(visit, visit.request.cookies.get(_cookie(visit), ""), Journey)
    try:
        response = await _arrive(visit, provider, journey)
    except SignInRefusedError as refused:
        response = await _refuse(visit, refused.reason, path=journey.next if journey else "")
    response.delete_cookie(_cookie(visit), httponly=True, samesite="lax", secure=visit.secure)
    return response


async def connect_once(visit: Visit) -> Response:
    """`POST /oauth/connect`: the password of the account that is to be connected."""
    provider = _provider(visit)
    stage = open_stage(visit, visit.field("stage"), Introduced)
    if stage is None or stage.identity.email is None:
        return await _refuse(visit, "stale")
    email = stage.identity.email
    visit.count_tries(email, per_minute=TRIES_PER_MINUTE)
    user_id, hashed = await find_password(visit.shop.database, email) or (0, None)
    password = str(visit.form.get("password", ""))[:LENGTH_MAX]
    if not await check_password(password, hashed):
        wrong = visit.gettext("This is not the password of this account.")
        return await _ask_password(visit, stage, provider, wrong=wrong)
    await _connect(visit, provider, stage.identity, user_id=user_id)
    return await let_in(visit, user_id, stage.next)


async def agree(visit: Visit) -> Response:
    """`POST /oauth/agree`: what has to be agreed to before a new account is made."""
    provider = _provider(visit)
    stage = open_stage(visit, visit.field("stage"), Newcomer)
    if stage is None:
        return await _refuse(visit, "stale")
    if wrong := check_consents(visit):
        return await _ask_consent(visit, stage, provider, wrong=wrong)
    try:
        user_id = await _add(visit, stage.identity, stage.journey)
        return await _enter(visit, user_id, stage.journey)
    except SignInRefusedError as refused:
        return await _refuse(visit, refused.reason, path=stage.journey.next)


async def show_disconnect(visit: Visit) -> Response:
    """`GET /app/settings/provider`"""
    return await visit.page("settings/provider.html", provider=_provider(visit).name, wrong="")


async def disconnect_it(visit: Visit) -> Response:
    """`POST /app/settings/provider`: from now on only by the password, if there is one."""
    provider = _provider(visit)
    wrong = await find_doubt(visit)
    if not visit.me.has_password:
        wrong = visit.gettext("Choose a password first, or nothing would let you in.")
    if wrong:
        return await visit.page(
            "settings/provider.html", status=422, provider=provider.name, wrong=wrong
        )
    await visit.shop.database.write(partial(disconnect, user_id=visit.me.user_id))
    return visit.go("/app/settings", toast="saved")


# The steps --------------------------------------------------------------------------------------


async def _arrive(visit: Visit, provider: "IdentityProvider", journey: Journey | None) -> Response:
    # The cookie says that this browser began it: nobody is signed in by a link of somebody else.
    if journey is None or not hmac.compare_digest(
        journey.state.encode(), visit.query("state").encode()
    ):
        raise SignInRefusedError("stale")
    if visit.query("error") or not visit.query("code"):
        raise provider.decline(visit.query("error"))
    identity = await provider.finish(journey, code=visit.query("code"))
    user_id = await find_user_of(visit.shop.database, identity)
    if user_id is None:
        return await _meet(visit, provider, identity, journey)
    return await _enter(visit, user_id, journey)


async def _meet(
    visit: Visit, provider: "IdentityProvider", identity: Identity, journey: Journey
) -> Response:
    """Somebody who comes for the first time: their account, or a new one."""
    if identity.email is None or not identity.email_verified:
        raise SignInRefusedError("unconfirmed")
    try:
        email = normal_email(identity.email)
    except OperatorError:
        raise SignInRefusedError("unconfirmed") from None
    candidate = await find_candidate(visit.shop.database, email)
    if candidate is None:
        return await _welcome(visit, provider, identity, journey)
    if not candidate.may_be_claimed:
        stage = Introduced(at=now_ms(), next=journey.next, identity=identity)
        return await _ask_password(visit, stage, provider)
    await _connect(visit, provider, identity, user_id=candidate.user_id)
    return await _enter(visit, candidate.user_id, journey)


async def _welcome(
    visit: Visit, provider: "IdentityProvider", identity: Identity, journey: Journey
) -> Response:
    """Somebody who has no account here: in, with a new one; first what it needs to be agreed to."""
    if not await may_sign_up(visit, journey.invitation):
        raise SignInRefusedError(visit.shop.settings.sign_up)
    if visit.shop.documents:
        stage = Newcomer(at=now_ms(), identity=identity, journey=journey)
        return await _ask_consent(visit, stage, provider)
    return await _enter(visit, await _add(visit, identity, journey), journey)


async def _enter(visit: Visit, user_id: int, journey: Journey) -> Response:
    # A provider must take no code twice; if it does, we do not.
    first = await visit.shop.database.write(
        partial(use_nonce, nonce=journey.state, user_id=user_id)
    )
    if not first:
        raise SignInRefusedError("stale")
    return await let_in(visit, user_id, journey.next)


async def _add(visit: Visit, identity: Identity, journey: Journey) -> int:
    """A new account, as the policy of signing up allows."""
    policy, email = visit.shop.settings.sign_up, str(identity.email)
    if not await may_sign_up(visit, journey.invitation):
        raise SignInRefusedError(policy)

    async def add(tx: Transaction) -> int:
        if policy == "invite" and await take_ticket(tx, "invite", journey.invitation) is None:
            raise SignInRefusedError(policy)
        profile = Profile(name=identity.name, language=visit.words.language)
        user_id = await add_user(tx, email, profile=profile)
        await record_consents(tx, user_id, visit.shop.documents)
        await confirm_email(tx, user_id, email=email)
        await connect(tx, identity, user_id=user_id)
        return user_id

    try:
        return await visit.shop.database.write(add)
    except AlreadyExistsError:
        # In the moment between somebody has made one: it is met like any other.
        raise SignInRefusedError("stale") from None


async def _connect(
    visit: Visit, provider: "IdentityProvider", identity: Identity, *, user_id: int
) -> None:
    async def note(tx: Transaction) -> None:
        await connect(tx, identity, user_id=user_id)
        await confirm_email(tx, user_id, email=str(identity.email))
        await send_connected(tx, visit, email=str(identity.email), provider=provider.name)

    await visit.shop.database.write(note)


# What is shown ----------------------------------------------------------------------------------


async def _ask_password(
    visit: Visit, stage: Introduced, provider: "IdentityProvider", *, wrong: str = ""
) -> Response:
    return await visit.page(
        "entrance/connect.html",
        status=422 if wrong else 200,
        stage=seal_stage(visit, stage),
        email=stage.identity.email,
        provider=provider.name,
        wrong=wrong,
    )


async def _ask_consent(
    visit: Visit,
    stage: Newcomer,
    provider: "IdentityProvider",
    *,
    wrong: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    return await visit.page(
        "entrance/agree.html",
        status=422 if wrong else 200,
        stage=seal_stage(visit, stage),
        email=stage.identity.email,
        provider=provider.name,
        wrong=wrong,
    )


async def _refuse(visit: Visit, reason: str, *, path: str = "") -> Response:
    """The page of signing in, with the reason, and still on the way to where they wanted."""
    wrong = visit.gettext(REASONS[reason], provider=_provider(visit).name)
    status = 503 if reason == "away" else 403
    return await visit.page("entrance/login.html", status=status, email="", wrong=wrong, next=path)


def _provider(visit: Visit) -> "IdentityProvider":
    if visit.shop.identity is None:
        raise NotFoundError
    return visit.shop.identity


def _cookie(visit: Visit) -> str:
    return "__Host-altyn_oauth" if visit.secure else "altyn_oauth"
