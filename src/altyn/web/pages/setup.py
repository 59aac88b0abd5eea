"""The first owner: a link from the terminal, good once, which only whoever started us can see."""

from functools import partial

from starlette.responses import Response

from altyn.accounts.password import hash_aside
from altyn.accounts.store import Profile, add_user, has_owner, normal_email
from altyn.database.engine import Transaction, now_ms
from altyn.web.pages.entrance import check_email, check_new_password, profile_of, welcome_in
from altyn.web.reclaim import begin_anew
from altyn.web.ticket import find_ticket, take_ticket
from altyn.web.visit import Visit


async def show(visit: Visit) -> Response:
    """`GET /setup?t=…`"""
    secret = visit.query("t")
    if await find_ticket(visit.shop.database, "set_up", secret) is None:
        return await visit.page("entrance/stale.html", status=404)
    return await visit.page("entrance/setup.html", secret=secret, email="", name="", wrong={})


async def set_up(visit: Visit) -> Response:
    """`POST /setup`"""
    secret, email, name = visit.field("t"), visit.field("email"), visit.field("name")
    password = str(visit.form.get("password", ""))
    wrong = {**check_email(visit, email), **check_new_password(visit, password, email=email)}
    if wrong:
        return await visit.page(
            "entrance/setup.html", status=422, secret=secret, email=email, name=name, wrong=wrong
        )
    user_id = await visit.shop.database.write(
        partial(
            become_owner,
            secret=secret,
            email=normal_email(email),
            password_hash=await hash_aside(password),
            profile=profile_of(visit),
        )
    )
    if user_id is None:
        return await visit.page("entrance/stale.html", status=404)
    return await welcome_in(visit, user_id, "/app")


async def become_owner(
    tx: Transaction, *, secret: str, email: str, password_hash: str, profile: Profile
) -> int | None:
    """Make the owner of a place that has none, or return None. A known address becomes the owner's:
    whoever reads our terminal could do that anyway. Whoever was signed in with it is not any more:
    a stranger would have become the owner too.
    """
    if await take_ticket(tx, "set_up", secret) is None or await has_owner(tx):
        return None
    known = await tx.fetch("SELECT id FROM users WHERE email = $1", email)
    user_id = int(known[0][0]) if known else await add_user(tx, email, profile=profile)
    await begin_anew(tx, user_id=user_id)
    await tx.execute(
        "UPDATE users SET operator_role = 'owner', password_hash = $2, email_confirmed_at = $3"
        " WHERE id = $1",
        user_id,
        password_hash,
        now_ms(),
    )
    return user_id
