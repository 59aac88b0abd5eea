"""Coming in and going out: sign in, sign up, sign out.

Whether an address has an account is not told here, not by words and not by time.
"""

from functools import partial
from zoneinfo import available_timezones

from starlette.responses import Response

from altyn.accounts.consents import record_consents
from altyn.accounts.guessable import is_guessable
from altyn.accounts.password import (
    LENGTH_MAX,
    LENGTH_MIN,
    check_password,
    hash_aside,
    is_outdated,
)
from altyn.accounts.second_step import find_second_step
from altyn.accounts.store import (
    Profile,
    add_user,
    find_password,
    is_confirmed,
    normal_email,
    set_password,
)
from altyn.database.engine import Transaction, now_ms
from altyn.errors import AlreadyExistsError, OperatorError
from altyn.web.half_way import HalfWay, seal_stage
from altyn.web.mail import send_confirmation, send_known_address
from altyn.web.session import LASTS_MS, close_session, open_session
from altyn.web.ticket import find_ticket, take_ticket
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
    database = visit.shop.database
    user_id, hashed = await find_password(database, email) or (0, None)
    right = await check_password(password[:LENGTH_MAX], hashed)
    if not right or (visit.shop.sends_mail and not await is_confirmed(database, user_id)):
        return await _refuse_login(visit, email)
    if hashed is not None and is_outdated(hashed):
        await _rehash(visit, user_id, password)
    return await let_in(visit, user_id, visit.back(otherwise="/app"))


async def _refuse_login(visit: Visit, email: str) -> Response:
    """One sentence for every reason: which one it is would tell a stranger who has an account."""
    wrong = visit.gettext("The e-mail or the password is wrong.")
    if visit.shop.sends_mail:
        wrong += " " + visit.gettext("Or the e-mail is not confirmed yet: see the letter.")
    return await visit.page(
        "entrance/login.html", status=422, email=email, wrong=wrong, next=visit.field("next")
    )


async def show_signup(visit: Visit) -> Response:
    """`GET /signup`: with an invitation in `t`, where one is needed."""
    if visit.person is not None:
        return visit.go("/app")
    return await _show_signup(visit, visit.query("t"), {})


async def sign_up(visit: Visit) -> Response:
    """`POST /signup`"""
    email, password = visit.field("email"), str(visit.form.get("password", ""))
    invitation = visit.field("t")
    wrong = {
        **check_email(visit, email),
        **check_new_password(visit, password, email=email),
        **check_consents(visit),
    }
    if wrong or not await may_sign_up(visit, invitation):
        # It is not sent back, and who mends another field would not notice that it is gone.
        wrong.setdefault("password", visit.gettext("Write the password once more."))
        return await _show_signup(visit, invitation, wrong, status=422)
    user_id = await _add(visit, email, password, invitation)
    if visit.shop.sends_mail:
        return await visit.page("entrance/letter.html", email=email)
    if user_id is None:
        wrong["email"] = visit.gettext("This e-mail cannot be used. If it is yours, sign in.")
        return await _show_signup(visit, invitation, wrong, status=422)
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


async def let_in(visit: Visit, user_id: int, path: str) -> Response:
    """Past the first step, whichever it was: in, or to the page that asks for a one-time password
    and sends it to `POST /login/code`.
    """
    second = await find_second_step(visit.shop.database, visit.shop.seal, user_id)
    if second.secret is None:
        return await welcome_in(visit, user_id, path)
    half = seal_stage(visit, HalfWay(user_id, now_ms(), path))
    return await visit.page("entrance/code.html", half=half, wrong="")


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
    elif is_guessable(password, known=(email, visit.shop.host, "altyn")):
        said = visit.gettext("This password is among the first that are guessed. Take another.")
    else:
        return {}
    return {"password": said}


def check_consents(visit: Visit) -> dict[str, str]:
    """What is wrong with the boxes of the operator's documents: those that are not ticked, or stood
    beside another link, which may have changed since the form was opened.
    """
    return {
        f"agree_{name}": visit.gettext("An account needs your agreement to this.")
        for name, url in visit.shop.documents.items()
        if visit.field(f"agree_{name}") != url
    }


def profile_of(visit: Visit) -> Profile:
    """What a new person's browser says of them."""
    zone = visit.field("zone")
    return Profile(
        name=visit.field("name")[:100] or None,
        language=visit.words.language,
        zone=zone if zone in available_timezones() else None,
    )


async def _show_signup(
    visit: Visit, invitation: str, wrong: dict[str, str], *, status: int = 200
) -> Response:
    return await visit.page(
        "entrance/signup.html",
        status=status,
        email=visit.field("email"),
        wrong=wrong,
        invitation=invitation,
        policy=visit.shop.settings.sign_up,
        open=await may_sign_up(visit, invitation),
    )


async def may_sign_up(visit: Visit, invitation: str) -> bool:
    policy = visit.shop.settings.sign_up
    if policy == "invite":
        return await find_ticket(visit.shop.database, "invite", invitation) is not None
    return policy == "open"


async def _add(visit: Visit, email: str, password: str, invitation: str) -> int | None:
    """Add a person, or return None for a known address, to which a letter goes where one can."""
    hashed, mail = await hash_aside(password), visit.shop.sends_mail

    async def add(tx: Transaction) -> int:
        if visit.shop.settings.sign_up == "invite":
            await take_ticket(tx, "invite", invitation)
        user_id = await add_user(tx, email, password_hash=hashed, profile=profile_of(visit))
        await record_consents(tx, user_id, visit.shop.documents)
        if mail:
            await send_confirmation(tx, visit, user_id=user_id, email=normal_email(email))
        return user_id

    try:
        return await visit.shop.database.write(add)
    except AlreadyExistsError:
        if mail:
            await visit.shop.database.write(
                partial(send_known_address, visit=visit, email=normal_email(email))
            )
        return None


async def _rehash(visit: Visit, user_id: int, password: str) -> None:
    hashed = await hash_aside(password)
    await visit.shop.database.write(partial(set_password, user_id=user_id, password_hash=hashed))
