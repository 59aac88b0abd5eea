"""«API Ключи»: every key of the account, made here, shown once, revoked here."""

from functools import partial

from msgspec import structs
from starlette.responses import Response

from altyn.database.engine import Transaction, now_ms
from altyn.errors import NotFoundError
from altyn.keys.standing import Standing, find_standing, list_standings
from altyn.keys.store import change_key, create_key, disable_key, revoke_key, rotate_key
from altyn.web.pages.key_form import BLANK, KeyForm, read_key_form, written_form
from altyn.web.ticket import new_nonce, use_nonce
from altyn.web.trial import try_key
from altyn.web.visit import Visit

HOUR_MS = 3_600_000
OVERLAPS_MS = {"now": 0, "hour": HOUR_MS, "day": 24 * HOUR_MS, "week": 7 * 24 * HOUR_MS}
"""For how long the old secret still opens after a rotation."""


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
    """`GET /app/keys/new`: the form, in a dialog or as a page; `mode` chooses the mode."""
    form = structs.replace(BLANK, mode="test") if visit.query("mode") == "test" else BLANK
    return await _show_form(visit, form, {})


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
    standings = await list_standings(visit.shop.database, me.account_id, now=now_ms())
    return await visit.page(
        "keys/secret.html",
        standing=next(one for one in standings if one.key.id == key_id),
        count=len(standings),
        secret=secret,
        rotated=False,
    )


async def show_edit(visit: Visit) -> Response:
    """`GET /app/keys/{key_id}/edit`"""
    standing = await _get_living(visit)
    return await _show_form(visit, written_form(standing.key), {}, standing=standing)


async def edit(visit: Visit) -> Response:
    """`POST /app/keys/{key_id}/edit`"""
    standing = await _get_living(visit)
    form, rules, wrong = await read_key_form(visit)
    if wrong or rules is None:
        return await _show_form(visit, form, wrong, standing=standing, status=422)
    await visit.shop.database.write(
        partial(
            change_key,
            key_id=standing.key.id,
            account_id=visit.me.account_id,
            name=form.name,
            rules=rules,
        )
    )
    return visit.go("/app/keys", toast="key_changed")


async def show_rotate(visit: Visit) -> Response:
    """`GET /app/keys/{key_id}/rotate`"""
    return await visit.page(
        "keys/rotate.html", standing=await _get_living(visit), nonce=new_nonce()
    )


async def rotate(visit: Visit) -> Response:
    """`POST /app/keys/{key_id}/rotate`: as `create`, the one answer that holds the new secret."""
    standing = await _get_living(visit)
    me, pepper, nonce = visit.me, visit.shop.seal.pepper, visit.field("nonce")
    overlap_ms = OVERLAPS_MS.get(visit.field("overlap"), 0)

    async def rotate_once(tx: Transaction) -> str | None:
        if not await use_nonce(tx, nonce, user_id=me.user_id):
            return None
        return await rotate_key(
            tx,
            standing.key.id,
            account_id=me.account_id,
            pepper=pepper,
            overlap_ms=overlap_ms,
        )

    secret = await visit.shop.database.write(rotate_once)
    if secret is None:
        return await visit.page("keys/repeated.html", status=409)
    renewed = await _get(visit, standing.key.id)
    return await visit.page("keys/secret.html", standing=renewed, secret=secret, rotated=True)


async def disable(visit: Visit) -> Response:
    """`POST /app/keys/{key_id}/disable`"""
    return await _set_disabled(visit, disabled=True)


async def enable(visit: Visit) -> Response:
    """`POST /app/keys/{key_id}/enable`"""
    return await _set_disabled(visit, disabled=False)


async def show_test(visit: Visit) -> Response:
    """`GET /app/keys/{key_id}/test`"""
    return await visit.page("keys/test.html", standing=await _get_living(visit))


async def send_test(visit: Visit) -> Response:
    """`POST /app/keys/{key_id}/test`: a free call to the sandbox with this key's own rules."""
    standing = await _get(visit, visit.number("key_id"))
    trial = await try_key(visit, standing.key)
    return await visit.page("keys/trial.html", standing=standing, trial=trial)


async def show_revoke(visit: Visit) -> Response:
    """`GET /app/keys/{key_id}/revoke`: what will happen, before it does."""
    return await visit.page("keys/revoke.html", standing=await _get_living(visit))


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


async def _get_living(visit: Visit) -> Standing:
    """The key of the address, if it is not revoked: what is revoked cannot be changed."""
    standing = await _get(visit, visit.number("key_id"))
    if standing.state == "revoked":
        raise NotFoundError
    return standing


async def _set_disabled(visit: Visit, *, disabled: bool) -> Response:
    standing = await _get_living(visit)
    await visit.shop.database.write(
        partial(
            disable_key,
            key_id=standing.key.id,
            account_id=visit.me.account_id,
            disabled=disabled,
        )
    )
    return visit.go("/app/keys", toast="key_disabled" if disabled else "key_enabled")


async def _show_form(
    visit: Visit,
    form: KeyForm,
    wrong: dict[str, str],
    *,
    standing: Standing | None = None,
    status: int = 200,
) -> Response:
    return await visit.page(
        "keys/form.html",
        status=status,
        standing=standing,
        form=form,
        wrong=wrong,
        models=visit.shop.models,
        nonce=new_nonce(),
    )
