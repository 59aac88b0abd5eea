"""«API Ключи»: every key of the account, made here, shown once, revoked here."""

from functools import partial

from starlette.responses import Response

from altyn.database.engine import Transaction, now_ms
from altyn.errors import NotFoundError
from altyn.keys.standing import Standing, find_standing, list_standings
from altyn.keys.store import SCOPES, create_key, revoke_key
from altyn.web.pages.key_form import BLANK, KeyForm, read_key_form
from altyn.web.ticket import new_nonce, use_nonce
from altyn.web.trial import try_key
from altyn.web.visit import Visit


async def show_all(visit: Visit) -> Response:
    """`GET /app/keys`: filters `q` (name or last four), `state` and `mode` live in the address."""
    standings = await list_standings(visit.shop.database, visit.me.account_id, now=now_ms())
    wanted, state, mode = (
        visit.query("q").strip().lower(),
        visit.query("state"),
        visit.query("mode"),
    )
    shown = [
        one
        for one in standings
        if (not wanted or wanted in one.key.name.lower() or one.key.last_four.lower() == wanted)
        and (not state or one.state == state)
        and (not mode or one.key.mode == mode)
    ]
    return await visit.page(
        "keys/list.html",
        standings=shown,
        count=len(standings),
        query=visit.query("q"),
        state=state,
        mode=mode,
    )


async def show_new(visit: Visit) -> Response:
    """`GET /app/keys/new`: the form, in a dialog or as a page."""
    return await _show_form(visit, BLANK, {})


async def create(visit: Visit) -> Response:
    """`POST /app/keys`: the one answer that holds the secret, kept by nobody on the way."""
    form, rules, wrong = await read_key_form(visit)
    if wrong or rules is None:
        return await _show_form(visit, form, wrong, status=422)
    me, pepper, nonce = visit.me, visit.shop.seal.pepper, visit.field("nonce")

    async def create_once(tx: Transaction) -> tuple[int, str] | None:
        if not await use_nonce(tx, nonce, user_id=me.user_id):
            return None
        return await create_key(
            tx,
            account_id=me.account_id,
            name=form.name,
            mode=form.mode,
            rules=rules,
            pepper=pepper,
        )

    made = await visit.shop.database.write(create_once)
    if made is None:
        return await visit.page("keys/repeated.html", status=409)
    key_id, secret = made
    return await visit.page("keys/secret.html", standing=await _get(visit, key_id), secret=secret)


async def send_test(visit: Visit) -> Response:
    """`POST /app/keys/{key_id}/test`: a free call to the sandbox with this key's own rules."""
    standing = await _get(visit, visit.number("key_id"))
    trial = await try_key(visit, standing.key)
    return await visit.page("keys/trial.html", standing=standing, trial=trial)


async def show_revoke(visit: Visit) -> Response:
    """`GET /app/keys/{key_id}/revoke`: what will happen, before it does."""
    return await visit.page("keys/revoke.html", standing=await _get(visit, visit.number("key_id")))


async def revoke(visit: Visit) -> Response:
    """`POST /app/keys/{key_id}/revoke`"""
    standing = await _get(visit, visit.number("key_id"))
    await visit.shop.database.write(
        partial(revoke_key, key_id=standing.key.id, account_id=visit.me.account_id)
    )
    return visit.go("/app/keys", toast="key_revoked")


async def _get(visit: Visit, key_id: int) -> Standing:
    """A key of this account. Raises `NotFoundError` for any other."""
    standing = await find_standing(visit.shop.database, visit.me.account_id, key_id, now=now_ms())
    if standing is None:
        raise NotFoundError
    return standing


async def _show_form(
    visit: Visit, form: KeyForm, wrong: dict[str, str], *, status: int = 200
) -> Response:
    return await visit.page(
        "keys/new.html",
        status=status,
        form=form,
        wrong=wrong,
        models=visit.shop.models,
        scopes=SCOPES,
        nonce=new_nonce(),
    )
