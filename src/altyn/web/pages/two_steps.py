"""Two steps at the door: switched on with a phone, asked for after the password."""

import base64
from functools import partial

import segno
from markupsafe import Markup
from starlette.responses import Response

from altyn.accounts.second_step import (
    disable,
    enable,
    find_second_step,
    find_step,
    new_secret,
    provisioning_uri,
    renew_recovery_codes,
    use_recovery_code,
    use_step,
)
from altyn.database.engine import Transaction
from altyn.errors import OperatorError
from altyn.web.half_way import HalfWay, open_stage
from altyn.web.pages.entrance import welcome_in
from altyn.web.proof import find_doubt
from altyn.web.visit import Visit

ISSUER = "Altyn"
CODE_LENGTH_MAX = 40
TRIES_PER_MINUTE = 5


# At the door ------------------------------------------------------------------------------------


async def check(visit: Visit) -> Response:
    """`POST /login/code`: a one-time password, or a recovery code."""
    half = open_stage(visit, visit.field("half"), HalfWay)
    if half is None:
        return visit.go("/login")
    visit.count_tries(f"user {half.user_id}", per_minute=TRIES_PER_MINUTE)
    if await _is_second_step(visit, half.user_id, visit.field("code")[:CODE_LENGTH_MAX]):
        return await welcome_in(visit, half.user_id, half.next)
    return await visit.page(
        "entrance/code.html",
        status=422,
        half=visit.field("half"),
        wrong=visit.gettext("This code is wrong, or it was used."),
    )


async def _is_second_step(visit: Visit, user_id: int, code: str) -> bool:
    database, seal = visit.shop.database, visit.shop.seal
    second = await find_second_step(database, seal, user_id)
    if second.secret is None:
        return False
    step = find_step(second.secret, code, after=second.used_step)
    if step is not None:
        return await database.write(partial(use_step, user_id=user_id, step=step))
    return await database.write(partial(use_recovery_code, user_id=user_id, code=code))


# In the settings --------------------------------------------------------------------------------


async def show_on(visit: Visit) -> Response:
    """`GET /app/settings/two-steps`: a secret that holds once a code of it was shown to us."""
    return await _show_on(visit, new_secret(), "")


async def switch_on(visit: Visit) -> Response:
    """`POST /app/settings/two-steps`"""
    me, shop = visit.me, visit.shop
    secret = _pending(visit)
    step = find_step(secret, visit.field("code")[:CODE_LENGTH_MAX]) if secret else None
    if secret is None or step is None:
        wrong = visit.gettext("This code is not of this secret. Is the phone's clock right?")
        return await _show_on(visit, secret or new_secret(), wrong, status=422)
    codes = await shop.database.write(
        partial(enable, seal=shop.seal, user_id=me.user_id, secret=secret, step=step)
    )
    return await visit.page("settings/recovery_codes.html", codes=codes)


async def show_off(visit: Visit) -> Response:
    """`GET /app/settings/two-steps/off`"""
    return await visit.page("settings/two_steps_off.html", wrong="")


async def switch_off(visit: Visit) -> Response:
    """`POST /app/settings/two-steps/off`: the password is asked for once more."""
    if doubt := await find_doubt(visit):
        return await visit.page("settings/two_steps_off.html", status=422, wrong=doubt)
    await visit.shop.database.write(partial(disable, user_id=visit.me.user_id))
    return visit.go("/app/settings", toast="saved")


async def renew_codes(visit: Visit) -> Response:
    """`POST /app/settings/two-steps/codes`: new recovery codes; the old ones open nothing more."""
    me, shop = visit.me, visit.shop
    if (await find_second_step(shop.database, shop.seal, me.user_id)).secret is None:
        return visit.go("/app/settings")

    async def renew(tx: Transaction) -> list[str]:
        return await renew_recovery_codes(tx, me.user_id)

    codes = await shop.database.write(renew)
    return await visit.page("settings/recovery_codes.html", codes=codes)


async def _show_on(visit: Visit, secret: str, wrong: str, *, status: int = 200) -> Response:
    uri = provisioning_uri(secret, email=visit.me.email, issuer=ISSUER)
    drawn = segno.make(uri, error="m").svg_inline(scale=4, border=2, light="#fff")
    sealed = visit.shop.seal.seal(secret, purpose=f"totp to be:{visit.me.user_id}")
    return await visit.page(
        "settings/two_steps.html",
        status=status,
        code=Markup(drawn),  # noqa: S704 -- drawn by segno from squares alone
        secret=secret,
        pending=base64.urlsafe_b64encode(sealed).decode(),
        wrong=wrong,
    )


def _pending(visit: Visit) -> str | None:
    try:
        sealed = base64.urlsafe_b64decode(visit.field("pending"))
        return visit.shop.seal.open(sealed, purpose=f"totp to be:{visit.me.user_id}")
    except (ValueError, OperatorError):
        return None
