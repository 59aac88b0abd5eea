"""One letter when a balance falls below what its people asked for; the next after it has risen."""

from msgspec import Struct

from altyn.database.engine import Database, Transaction, now_ms
from altyn.settings import Settings
from altyn.web.letters import write_letter
from altyn.web.words import Words

# What is held comes back and would call wolf: only what was charged counts.
NEWS = (
    "SELECT 1 FROM accounts WHERE kind = 'customer' AND (low_balance_nanos IS NOT NULL"
    " AND posted_nanos < low_balance_nanos) <> (low_told_at IS NOT NULL) LIMIT 1"
)
ROSE = (
    "UPDATE accounts SET low_told_at = NULL WHERE low_told_at IS NOT NULL"
    " AND (low_balance_nanos IS NULL OR posted_nanos >= low_balance_nanos)"
)
FELL = (
    "UPDATE accounts SET low_told_at = $1 WHERE kind = 'customer' AND low_told_at IS NULL"
    " AND posted_nanos < low_balance_nanos RETURNING id"
)


class Reader(Struct, frozen=True):
    """Somebody of an account that is low."""

    email: str
    language: str | None
    zone: str | None
    posted_nanos: int
    low_balance_nanos: int


class LowBalance:
    """Looks for accounts that have crossed their threshold, and writes to their people."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings

    async def go(self) -> None:
        if await self.database.read(NEWS):
            await self.database.write(self._tell)

    async def _tell(self, tx: Transaction) -> None:
        # The note and the letter become true together: nobody is told twice, or never.
        await tx.execute(ROSE)
        rows = await tx.fetch(FELL, now_ms())
        for (account_id,) in rows:
            for row in await tx.fetch(
                "SELECT u.email, u.language, u.zone, a.posted_nanos, a.low_balance_nanos"
                " FROM users u JOIN accounts a ON a.id = u.account_id"
                " WHERE a.id = $1 AND u.closed_at IS NULL",
                account_id,
            ):
                await self._write(tx, Reader(*row))

    async def _write(self, tx: Transaction, reader: Reader) -> None:
        words = Words(
            language=reader.language or self.settings.language,
            zone=reader.zone or "UTC",
            currency=self.settings.currency,
        )
        await write_letter(
            tx,
            recipient=reader.email,
            subject=words.gettext("Your balance is low"),
            body=words.gettext(
                "%(left)s is left, less than the %(threshold)s you asked to be told of.\n"
                "When nothing is left, calls with live keys are refused.\n\n%(link)s",
                left=words.money(reader.posted_nanos),
                threshold=words.money(reader.low_balance_nanos),
                link=f"{self.settings.public_url}/app/billing",
            ),
        )
