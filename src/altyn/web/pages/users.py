"""The operator's people: who is here, how they stand, money in by hand, freeze and unfreeze."""

from functools import partial

from starlette.responses import Response

from altyn.accounts.people import count_users, find_user_by_id, search_users
from altyn.accounts.store import User, freeze_account, get_balance
from altyn.database.engine import now_ms
from altyn.errors import NotFoundError, OperatorError
from altyn.keys.standing import list_standings
from altyn.ledger.deposits import pay_in, read_deposit
from altyn.ledger.statement import list_entries
from altyn.money import Nanos
from altyn.web.ticket import is_nonce, issue_ticket, new_nonce
from altyn.web.visit import Visit

PAGE = 50
ENTRIES = 20
REASON_LENGTH_MAX = 200


async def show_all(visit: Visit) -> Response:
    """`GET /admin/users`: `q` is a part of an address, `before` where the page begins."""
    query, before = visit.query("q").strip(), visit.query_number("before")
    found = await search_users(visit.shop.database, query=query, limit=PAGE + 1, before=before)
    return await visit.page(
        "admin/users.html",
        users=found[:PAGE],
        more=found[PAGE - 1].id if len(found) > PAGE else None,
        count=await count_users(visit.shop.database),
        query=query,
        before=before,
    )


async def show(visit: Visit) -> Response:
    """`GET /admin/users/{user_id}`"""
    user, database = await _get(visit), visit.shop.database
    return await visit.page(
        "admin/user.html",
        user=user,
        money=await get_balance(database, user.account_id),
        keys=await list_standings(database, user.account_id, now=now_ms()),
        entries=await list_entries(database, user.account_id, limit=ENTRIES),
    )


async def show_credit(visit: Visit) -> Response:
    """`GET /admin/users/{user_id}/credit`"""
    return await _show_credit(visit, await _get(visit), {})


async def credit(visit: Visit) -> Response:
    """`POST /admin/users/{user_id}/credit`: as an entry with a reason, once for each form."""
    user = await _get(visit)
    reason, nonce = visit.field("reason"), visit.field("nonce")
    wrong: dict[str, str] = {}
    nanos = read_amount(visit, wrong)
    if not reason:
        wrong["reason"] = visit.gettext("Say why: the entry keeps it for ever.")
    if wrong or not is_nonce(nonce):
        return await _show_credit(visit, user, wrong, status=422)
    await pay_in(
        visit.shop.database,
        visit.shop.writer,
        account_id=user.account_id,
        amount_nanos=nanos,
        # The form's own number: sent twice it is one deposit, as the ledger has it.
        reference=f"console-{visit.me.user_id}-{nonce}",
        reason=f"{reason[:REASON_LENGTH_MAX]} ({visit.me.email})",
        source="promo" if visit.field("source") == "promo" else "cash_in",
    )
    return visit.go(f"/admin/users/{user.id}", toast="credited")


async def show_invite(visit: Visit) -> Response:
    """`GET /admin/users/invite`"""
    return await visit.page("admin/invite.html", link="")


async def invite(visit: Visit) -> Response:
    """`POST /admin/users/invite`: a link that lets one person sign up, shown once."""
    secret = await visit.shop.database.write(partial(issue_ticket, purpose="invite"))
    link = f"{visit.shop.settings.public_url}/signup?t={secret}"
    return await visit.page("admin/invite.html", link=link)


async def freeze(visit: Visit) -> Response:
    """`POST /admin/users/{user_id}/freeze`"""
    return await _set_frozen(visit, frozen=True)


async def unfreeze(visit: Visit) -> Response:
    """`POST /admin/users/{user_id}/unfreeze`"""
    return await _set_frozen(visit, frozen=False)


def read_amount(visit: Visit, wrong: dict[str, str]) -> Nanos:
    """The field `amount`, with a comma or blanks if they are written; or 0, and what is wrong."""
    try:
        return read_deposit("".join(visit.field("amount").split()).replace(",", "."))
    except OperatorError:
        wrong["amount"] = visit.gettext("Write an amount, such as 50 or 12.40.")
        return 0


async def _get(visit: Visit) -> User:
    user = await find_user_by_id(visit.shop.database, visit.number("user_id"))
    if user is None:
        raise NotFoundError
    return user


async def _show_credit(
    visit: Visit, user: User, wrong: dict[str, str], *, status: int = 200
) -> Response:
    return await visit.page(
        "admin/credit.html",
        status=status,
        user=user,
        wrong=wrong,
        amount=visit.field("amount"),
        reason=visit.field("reason"),
        source=visit.field("source") or "cash_in",
        nonce=visit.field("nonce") or new_nonce(),
    )


async def _set_frozen(visit: Visit, *, frozen: bool) -> Response:
    user = await _get(visit)
    await visit.shop.database.write(
        partial(freeze_account, account_id=user.account_id, frozen=frozen)
    )
    return visit.go(f"/admin/users/{user.id}", toast="frozen" if frozen else "unfrozen")
