"""Coming in and going out: sign in, sign up, sign out.

Whether an address has an account is not told here, not by words and not by time.
"""

from functools import partial
from typing import Any
from zoneinfo import available_timezones

from starlette.responses import Response

from altyn.accounts.password import (
    LENGTH_MAX,
    LENGTH_MIN,
    check_password,
    hash_aside,
    is_common,
    is_outdated,
)
from altyn.accounts.store import Profile, add_user, find_password, normal_email, set_password
from altyn.database.engine import Transaction
from altyn.errors import AlreadyExistsError, OperatorError
from altyn.web.session import LASTS_MS, close_session, open_session
from altyn.web.visit import Visit

TRIES_PER_MINUTE = 6
"""How often one address may be tried, from wherever: a slow-down, never a lock."""


async def show_login(visit: Visit) -> Response:
    """`GET /login`"""
    if visit.person is not None:
        return visit.go(visit.back(otherwise="/app"))
    return await visit.page("entrance/login.html", email="", wrong="", next=visit.query("next"))


async def log_in(visit: Visit) -> Response:
    """`POST /login`"""
    email, password = visit.field("email"), str(visit.form.get("password", ""))
    visit.count_tries(email, per_minute=TRIES_PER_MINUTE)
    found = await find_password(visit.shop.database, email)
    user_id, hashed = found or (0, None)
    if not await check_password(password[:LENGTH_MAX], hashed):
        return await visit.page(
            "entrance/login.html",
            status=422,
            email=email,
            wrong=visit.gettext("The e-mail or the password is wrong."),
            next=visit.field("next"),
        )
    if hashed is not None and is_outdated(hashed):
        await _rehash(visit, user_id, password)
    return await welcome_in(visit, user_id, visit.back(otherwise="/app"))


async def show_signup(visit: Visit) -> Response:
    """`GET /signup`"""
    if visit.person is not None:
        return visit.go("/app")
    return await visit.page("entrance/signup.html", email="", wrong={})


async def sign_up(visit: Visit) -> Response:
    """`POST /signup`"""
    email, password = visit.field("email"), str(visit.form.get("password", ""))
    wrong = {**check_email(visit, email), **check_new_password(visit, password, email=email)}
    if wrong:
        return await visit.page("entrance/signup.html", status=422, email=email, wrong=wrong)
    user_id = await _add(visit, email, password)
    if user_id is None:
        wrong["email"] = visit.gettext("This e-mail cannot be used. If it is yours, sign in.")
        return await visit.page("entrance/signup.html", status=422, email=email, wrong=wrong)
    return await welcome_in(visit, user_id, "/app")


async def log_out(visit: Visit) -> Response:
    """`POST /logout`"""
    me = visit.me
    await visit.shop.database.write(
        partial(close_session, session_id=me.session_id, user_id=me.user_id)
    )
    response = visit.go("/login", toast="signed_out")
    visit.drop_session(response)
    return response


# What others who let people in need too ---------------------------------------------------------


async def welcome_in(visit: Visit, user_id: int, path: str) -> Response:
    """Open a session for somebody who has shown who they are. An old one in the browser ends."""
    browser = visit.request.headers.get("user-agent", "")

    async def exchange(tx: Transaction) -> str:
        if visit.person is not None:
            old = visit.person
            await close_session(tx, old.session_id, user_id=old.user_id)
        return await open_session(tx, user_id, address=visit.address, browser=browser)

    secret = await visit.shop.database.write(exchange)
    response = visit.go(path)
    visit.keep_session(response, secret, lasts_s=LASTS_MS // 1000)
    return response


def check_email(visit: Visit, email: str) -> dict[str, str]:
    try:
        normal_email(email)
    except OperatorError:
        return {"email": visit.gettext("Write an e-mail address, such as anna@example.com.")}
    return {}


def check_new_password(visit: Visit, password: str, *, email: str) -> dict[str, str]:
    """What is wrong with a new password, by field: only what makes it easy to guess."""
    if len(password) < LENGTH_MIN:
        said = visit.ngettext(
            "At least %(num)s character.", "At least %(num)s characters.", LENGTH_MIN
        )
    elif len(password) > LENGTH_MAX:
        said = visit.ngettext(
            "At most %(num)s character.", "At most %(num)s characters.", LENGTH_MAX
        )
    elif is_common(password, email=email):
        said = visit.gettext("This password is among the first that are guessed. Take another.")
    else:
        return {}
    return {"password": said}


def profile_of(visit: Visit) -> Profile:
    """What a new person's browser says of them."""
    zone = visit.field("zone")
    return Profile(
        name=visit.field("name")[:100] or None,
        language=visit.words.language,
        zone=zone if zone in available_timezones() else None,
    )


async def _add(visit: Visit, email: str, password: str) -> int | None:
    hashed = await hash_aside(password)
    work: Any = partial(add_user, email=email, password_hash=hashed, profile=profile_of(visit))
    try:
        return int(await visit.shop.database.write(work))
    except AlreadyExistsError:
        return None


async def _rehash(visit: Visit, user_id: int, password: str) -> None:
    hashed = await hash_aside(password)
    await visit.shop.database.write(partial(set_password, user_id=user_id, password_hash=hashed))
