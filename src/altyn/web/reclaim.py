"""An account that a stranger may have made in advance, with an address that is not theirs.

Whoever reads the letter owns the mailbox and takes the account over. What was set up before must
not stay with the stranger: a key that spends, a second step that shuts the owner out.
"""

from altyn.accounts.identities import disconnect
from altyn.accounts.second_step import disable
from altyn.accounts.store import find_unproven
from altyn.database.engine import Transaction
from altyn.keys.store import revoke_keys
from altyn.web.session import close_other_sessions
from altyn.web.ticket import forget_tickets


async def begin_anew(tx: Transaction, *, user_id: int) -> bool:
    """End every session and every link of a person; where their address was never shown to be
    theirs, everything else that opens something too. Whether there was anything of that.

    Before the address is confirmed: afterwards nobody knows any more.
    """
    await close_other_sessions(tx, user_id=user_id, but=None)
    await forget_tickets(tx, user_id=user_id)
    account_id = await find_unproven(tx, user_id)
    if account_id is None:
        return False
    had_keys = await revoke_keys(tx, account_id=account_id)
    had_second_step = await disable(tx, user_id)
    had_identities = await disconnect(tx, user_id=user_id)
    return had_keys or had_second_step or had_identities
