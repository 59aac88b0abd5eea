"""A forgotten password, and an address to be confirmed: both by a letter."""

from functools import partial

from starlette.responses import Response

from altyn.accounts.password import hash_aside
from altyn.accounts.store import confirm_email, find_password, set_password
from altyn.database.engine import Transaction
from altyn.web.mail import send_password_changed, send_reset
from altyn.web.pages.entrance import check_new_password
from altyn.web.reclaim import begin_anew
from altyn.web.ticket import find_ticket, issue_ticket, take_ticket
from altyn.web.visit import Visit

LETTERS_PER_MINUTE = 2


async def show(visit: Visit) -> Response:
    """`GET /reset`"""
    return await visit.page("entrance/reset.html", email="", sent=False)


async def send(visit: Visit) -> Response:
    """`POST /reset`: the same answer whether there is such an account or not."""
    email = visit.field("email").lower()
    visit.count_tries(email, per_minute=LETTERS_PER_MINUTE)
    found = await find_password(visit.shop.database, email)
    if found is not None:
        await visit.shop.database.write(
            partial(send_reset, visit=visit, user_id=found[0], email=email)
        )
    else:
        # A ticket of nobody: the answer for an unknown address must not come sooner.
        await visit.shop.database.write(partial(issue_ticket, purpose="reset"))
    return await visit.page("entrance/reset.html", email=email, sent=True)


async def show_new(visit: Visit) -> Response:
    """`GET /reset/new?t=…`"""
    secret = visit.query("t")
    if await find_ticket(visit.shop.database, "reset", secret) is None:
        return await visit.page("entrance/stale.html", status=404)
    return await visit.page("entrance/new_password.html", secret=secret, wrong={})


async def set_new(visit: Visit) -> Response:
    """`POST /reset/new`: a new password ends every session there is.

    And if nobody had shown that the address is theirs, whatever a stranger has left there.
    """
    secret, password = visit.field("t"), str(visit.form.get("password", ""))
    ticket = await find_ticket(visit.shop.database, "reset", secret)
    if ticket is None:
        return await visit.page("entrance/stale.html", status=404)
    wrong = check_new_password(visit, password, email=ticket.email or "")
    if wrong:
        return await visit.page(
            "entrance/new_password.html", status=422, secret=secret, wrong=wrong
        )
    hashed = await hash_aside(password)

    async def change(tx: Transaction) -> str | None:
        taken = await take_ticket(tx, "reset", secret)
        if taken is None or taken.user_id is None or taken.email is None:
            return None
        reclaimed = await begin_anew(tx, user_id=taken.user_id)
        await set_password(tx, taken.user_id, hashed)
        # Who has read the letter has the mailbox.
        await confirm_email(tx, taken.user_id, email=taken.email)
        await send_password_changed(tx, visit, email=taken.email, reclaimed=reclaimed)
        return "account_reclaimed" if reclaimed else "password_changed"

    toast = await visit.shop.database.write(change)
    if toast is None:
        return await visit.page("entrance/stale.html", status=404)
    return visit.go("/login", toast=toast)


async def show_verify(visit: Visit) -> Response:
    """`GET /verify?t=…`: mail programs look at links, so it is a button that confirms."""
    secret = visit.query("t")
    if await find_ticket(visit.shop.database, "confirm", secret) is None:
        return await visit.page("entrance/stale.html", status=404)
    return await visit.page("entrance/verify.html", secret=secret)


async def verify(visit: Visit) -> Response:
    """`POST /verify`"""

    async def confirm(tx: Transaction) -> bool:
        taken = await take_ticket(tx, "confirm", visit.field("t"))
        if taken is None or taken.user_id is None or taken.email is None:
            return False
        return await confirm_email(tx, taken.user_id, email=taken.email)

    if not await visit.shop.database.write(confirm):
        return await visit.page("entrance/stale.html", status=404)
    return visit.go("/app" if visit.person else "/login", toast="email_confirmed")
