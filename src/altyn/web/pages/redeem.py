"""A code becomes money: a dialog for whoever has one."""

from starlette.responses import Response

from altyn.errors import UnknownNameError
from altyn.ledger.codes import UsedCodeError, redeem
from altyn.web.visit import Visit

CODE_LENGTH_MAX = 100


async def show(visit: Visit) -> Response:
    """`GET /app/redeem`"""
    return await visit.page("redeem.html", code="", wrong="")


async def send(visit: Visit) -> Response:
    """`POST /app/redeem`"""
    code = visit.field("code")[:CODE_LENGTH_MAX]
    try:
        await redeem(
            visit.shop.database,
            visit.shop.writer,
            code=code,
            account_id=visit.me.account_id,
            pepper=visit.shop.seal.pepper,
        )
    except UsedCodeError:
        wrong = visit.gettext("This code was redeemed before.")
    except UnknownNameError:
        wrong = visit.gettext("There is no such code, or it has run out.")
    else:
        return visit.go(visit.back(otherwise="/app"), toast="redeemed")
    return await visit.page("redeem.html", status=422, code=code, wrong=wrong)
