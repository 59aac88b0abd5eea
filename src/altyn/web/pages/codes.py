"""The operator's codes: made here, shown once, and what became of each."""

from functools import partial

from starlette.responses import Response

from altyn.database.engine import Transaction, now_ms
from altyn.ledger.codes import COUNT_MAX, list_codes, make_codes, shown, void_code
from altyn.web.pages.users import read_amount
from altyn.web.ticket import new_nonce, use_nonce
from altyn.web.visit import Visit

PAGE = 50
DAY_MS = 86_400_000
DAYS = {"30": 30, "90": 90, "365": 365}
REASON_LENGTH_MAX = 200


async def show_all(visit: Visit) -> Response:
    """`GET /admin/codes`"""
    before = visit.query_number("before")
    found = await list_codes(visit.shop.database, limit=PAGE + 1, before=before)
    return await visit.page(
        "admin/codes.html",
        codes=found[:PAGE],
        more=found[PAGE - 1].id if len(found) > PAGE else None,
        before=before,
    )


async def show_new(visit: Visit) -> Response:
    """`GET /admin/codes/new`"""
    return await _show_form(visit, {})


async def create(visit: Visit) -> Response:
    """`POST /admin/codes`: the one answer that holds the codes themselves."""
    wrong: dict[str, str] = {}
    count, nanos = _count(visit, wrong), read_amount(visit, wrong)
    reason = visit.field("reason")[:REASON_LENGTH_MAX]
    if not reason:
        wrong["reason"] = visit.gettext("Say what they are for: it stands in the ledger.")
    if wrong:
        return await _show_form(visit, wrong, status=422)
    me, days = visit.me, DAYS.get(visit.field("lasts"))

    async def make_once(tx: Transaction) -> list[str] | None:
        if not await use_nonce(tx, visit.field("nonce"), user_id=me.user_id):
            return None
        return await make_codes(
            tx,
            pepper=visit.shop.seal.pepper,
            count=count,
            amount_nanos=nanos,
            source="cash_in" if visit.field("source") == "cash_in" else "promo",
            reason=reason,
            created_by=me.user_id,
            expires_at=None if days is None else now_ms() + days * DAY_MS,
        )

    made = await visit.shop.database.write(make_once)
    if made is None:
        return visit.go("/admin/codes")
    return await visit.page("admin/codes_made.html", codes=[shown(code) for code in made])


async def void(visit: Visit) -> Response:
    """`POST /admin/codes/{code_id}/void`"""
    await visit.shop.database.write(partial(void_code, code_id=visit.number("code_id")))
    return visit.go("/admin/codes", toast="code_voided")


async def _show_form(visit: Visit, wrong: dict[str, str], *, status: int = 200) -> Response:
    return await visit.page(
        "admin/code_form.html",
        status=status,
        wrong=wrong,
        amount=visit.field("amount"),
        count=visit.field("count") or "1",
        reason=visit.field("reason"),
        source=visit.field("source") or "promo",
        lasts=visit.field("lasts") or "90",
        nonce=new_nonce(),
    )


def _count(visit: Visit, wrong: dict[str, str]) -> int:
    text = visit.field("count")
    if text.isascii() and text.isdigit() and 0 < int(text) <= COUNT_MAX:
        return int(text)
    wrong["count"] = visit.gettext("Write a number from 1 to %(most)s.", most=COUNT_MAX)
    return 0
