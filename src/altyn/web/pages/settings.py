"""A person's own settings: name, language, zone, password, sessions, all their data."""

from functools import partial
from zoneinfo import available_timezones

from starlette.responses import Response

from altyn.accounts.closing import close_account
from altyn.accounts.identities import list_issuers
from altyn.accounts.password import hash_aside
from altyn.accounts.second_step import count_recovery_codes, find_second_step
from altyn.accounts.store import Profile, set_password, set_profile
from altyn.database.engine import Transaction
from altyn.errors import NotFoundError
from altyn.web.mail import send_password_changed
from altyn.web.pages.entrance import check_new_password
from altyn.web.proof import find_doubt
from altyn.web.session import close_other_sessions, close_session, list_sessions
from altyn.web.ticket import forget_tickets
from altyn.web.visit import Visit
from altyn.web.words import LANGUAGES

NAME_LENGTH_MAX = 100


async def show(visit: Visit) -> Response:
    """`GET /app/settings`"""
    me, shop = visit.me, visit.shop
    second = await find_second_step(shop.database, shop.seal, me.user_id)
    return await visit.page(
        "settings/all.html",
        sessions=await list_sessions(shop.database, me.user_id),
        zones=sorted(available_timezones()),
        second_step=second.secret is not None,
        recovery_codes=await count_recovery_codes(shop.database, me.user_id),
        connected=shop.identity is not None
        and shop.identity.issuer in await list_issuers(shop.database, me.user_id),
    )


async def save_profile(visit: Visit) -> Response:
    """`POST /app/settings/profile`: what is not one of the choices is ignored."""
    language, zone = visit.field("language"), visit.field("zone")
    profile = Profile(
        name=visit.field("name")[:NAME_LENGTH_MAX],
        language=language if language in LANGUAGES else None,
        zone=zone if zone in available_timezones() else None,
    )
    await visit.shop.database.write(partial(set_profile, user_id=visit.me.user_id, profile=profile))
    return visit.go("/app/settings", toast="saved")


async def show_password(visit: Visit) -> Response:
    """`GET /app/settings/password`"""
    return await visit.page("settings/password.html", wrong={})


async def change_password(visit: Visit) -> Response:
    """`POST /app/settings/password`: every other session ends."""
    me, password = visit.me, str(visit.form.get("password", ""))
    wrong = check_new_password(visit, password, email=me.email)
    if doubt := await find_doubt(visit):
        wrong["old_password"] = doubt
    if wrong:
        return await visit.page("settings/password.html", status=422, wrong=wrong)
    hashed = await hash_aside(password)

    async def change(tx: Transaction) -> None:
        await set_password(tx, me.user_id, hashed)
        await close_other_sessions(tx, user_id=me.user_id, but=me.session_id)
        # Whoever is shut out by it may have sent for a link before.
        await forget_tickets(tx, user_id=me.user_id)
        await send_password_changed(tx, visit, email=me.email)

    await visit.shop.database.write(change)
    return visit.go("/app/settings", toast="password_changed")


async def end_session(visit: Visit) -> Response:
    """`POST /app/settings/sessions/{session_id}/end`"""
    ended = await visit.shop.database.write(
        partial(close_session, session_id=visit.number("session_id"), user_id=visit.me.user_id)
    )
    if not ended:
        raise NotFoundError
    return visit.go("/app/settings", toast="session_ended")


async def end_other_sessions(visit: Visit) -> Response:
    """`POST /app/settings/sessions/end`"""
    me = visit.me
    await visit.shop.database.write(
        partial(close_other_sessions, user_id=me.user_id, but=me.session_id)
    )
    return visit.go("/app/settings", toast="session_ended")


async def show_close(visit: Visit) -> Response:
    """`GET /app/settings/close`"""
    return await visit.page("settings/close.html", doubt="", wrong="")


async def close(visit: Visit) -> Response:
    """`POST /app/settings/close`: not while money is there, for then it would be lost."""
    me = visit.me
    if doubt := await find_doubt(visit):
        return await visit.page("settings/close.html", status=422, doubt=doubt, wrong="")
    closed = await visit.shop.database.write(
        partial(close_account, user_id=me.user_id, account_id=me.account_id)
    )
    if not closed:
        wrong = visit.gettext("There is still money on the account, or a call is running.")
        return await visit.page("settings/close.html", status=422, doubt="", wrong=wrong)
    response = visit.go("/", toast="closed")
    visit.drop_session(response)
    return response
