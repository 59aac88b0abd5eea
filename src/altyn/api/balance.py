"""`GET /balance`: the account's money now."""

from altyn.accounts.store import get_balance
from altyn.api.authenticate import Doorkeeper
from altyn.api.request import Reply, Request, json_reply
from altyn.api.wire import BalanceCard
from altyn.database.engine import Database
from altyn.money import format_nanos


class Balances:
    def __init__(self, *, doorkeeper: Doorkeeper, database: Database, currency: str) -> None:
        self.doorkeeper = doorkeeper
        self.database = database
        self.currency = currency

    async def show(self, request: Request) -> Reply:
        """`GET /balance`"""
        caller = await self.doorkeeper.authenticate(request, "balance")
        balance = await get_balance(self.database, caller.account.id)
        return json_reply(
            BalanceCard(
                object="balance",
                currency=self.currency,
                balance=format_nanos(balance.posted_nanos),
                held=format_nanos(balance.held_nanos),
                available=format_nanos(balance.available_nanos),
                total_deposited=format_nanos(balance.deposited_nanos),
                total_used=format_nanos(balance.used_nanos),
            )
        )
