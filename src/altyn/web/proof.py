"""Whether it is really them: asked once more before what cannot simply be taken back."""

from altyn.accounts.password import LENGTH_MAX, check_password
from altyn.accounts.store import find_password
from altyn.database.engine import now_ms
from altyn.web.visit import Visit

TRIES_PER_MINUTE = 6
FRESH_MS = 10 * 60_000
"""How long a sign-in counts as the proof of somebody who has no password."""


async def find_doubt(visit: Visit) -> str:
    """Why whoever is signed in may be somebody who found the browser open; empty if they are not.

    The proof is the password, in the field `old_password`; of those who come in through a provider
    and have none, that they have just done so.
    """
    me = visit.me
    if not me.has_password:
        fresh = now_ms() - me.signed_in_at < FRESH_MS
        return "" if fresh else visit.gettext("For this you have to sign in once more.")
    visit.count_tries(me.email, per_minute=TRIES_PER_MINUTE)
    found = await find_password(visit.shop.database, me.email)
    given = str(visit.form.get("old_password", ""))[:LENGTH_MAX]
    right = await check_password(given, found[1] if found else None)
    return "" if right else visit.gettext("This is not your password.")
