"""Another address: asked for in the settings, true once somebody with its mailbox says so."""

from starlette.responses import Response

from altyn.accounts.store import change_email, is_known, normal_email
from altyn.database.engine import Transaction
from altyn.web.mail import (
    send_change,
    send_change_asked,
    send_email_changed,
    send_wanted_address,
)
from altyn.web.pages.entrance import check_email
from altyn.web.proof import find_doubt
from altyn.web.session import close_other_sessions
from altyn.web.ticket import find_ticket, forget_tickets, issue_ticket, take_ticket
from altyn.web.visit import Visit

LETTERS_PER_MINUTE = 2


async def show(visit: Visit) -> Response:
    """`GET /app/settings/email`"""
    return await visit.page("settings/email.html", email="", asked=False, wrong={})


async def ask(visit: Visit) -> Response:
    """`POST /app/settings/email`: a link to the new address, a word to the old one; no change yet.

    Whether somebody has the new address is told to nobody but them.
    """
    email = visit.field("email")
    wrong = check_email(visit, email)
    if email.lower() == visit.me.email:
        wrong["email"] = visit.gettext("This is your address already.")
    if doubt := await find_doubt(visit):
        wrong["old_password"] = doubt
    if wrong:
        return await visit.page(
            "settings/email.html", status=422, email=email, asked=False, wrong=wrong
        )
    wanted = normal_email(email)
    visit.count_tries(wanted, per_minute=LETTERS_PER_MINUTE)

    async def write(tx: Transaction) -> None:
        await _write_letters(tx, visit, wanted)

    await visit.shop.database.write(write)
    return await visit.page("settings/email.html", email=wanted, asked=True, wrong={})


async def show_link(visit: Visit) -> Response:
    """`GET /email?t=…`: mail programs look at links, so it is a button that changes."""
    secret = visit.query("t")
    ticket = await find_ticket(visit.shop.database, "change", secret)
    if ticket is None or ticket.user_id is None:
        return await visit.page("entrance/stale.html", status=404)
    return await visit.page("entrance/email.html", secret=secret, email=ticket.email)


async def change(visit: Visit) -> Response:
    """`POST /email`: every session ends but that of this browser, and every other link."""

    async def work(tx: Transaction) -> bool:
        taken = await take_ticket(tx, "change", visit.field("t"))
        if taken is None or taken.user_id is None or taken.email is None:
            return False
        old = await change_email(tx, taken.user_id, email=taken.email)
        if old is None:
            return False
        me = visit.person
        here = me.session_id if me is not None and me.user_id == taken.user_id else None
        await close_other_sessions(tx, user_id=taken.user_id, but=here)
        await forget_tickets(tx, user_id=taken.user_id)
        await send_email_changed(tx, visit, old=old, new=taken.email)
        return True

    if not await visit.shop.database.write(work):
        return await visit.page("entrance/stale.html", status=404)
    return visit.go("/app/settings" if visit.person else "/login", toast="email_changed")


async def _write_letters(tx: Transaction, visit: Visit, email: str) -> None:
    me = visit.me
    await forget_tickets(tx, user_id=me.user_id, purpose="change")
    if await is_known(tx, email):
        # A ticket of nobody: the answer for a known address must not come sooner.
        await issue_ticket(tx, "change")
        await send_wanted_address(tx, visit, email=email)
    else:
        await send_change(tx, visit, user_id=me.user_id, email=email)
    await send_change_asked(tx, visit, old=me.email, new=email)
