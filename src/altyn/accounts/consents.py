"""What people have agreed to: which document of the operator, at which address, and when."""

from collections.abc import Mapping

from msgspec import Struct

from altyn.database.engine import Database, Transaction, now_ms


class Consent(Struct, frozen=True):
    """One document, by name (`terms`, `privacy`), the link that was agreed to, and when, in ms."""

    document: str
    url: str
    agreed_at: int


async def record_consents(tx: Transaction, user_id: int, documents: Mapping[str, str]) -> None:
    """Note that a new person agrees to these documents: name -> link."""
    for document, url in documents.items():
        await tx.execute(
            "INSERT INTO consents (user_id, document, url, agreed_at) VALUES ($1, $2, $3, $4)",
            user_id,
            document,
            url,
            now_ms(),
        )


async def list_consents(database: Database, user_id: int) -> list[Consent]:
    rows = await database.read(
        "SELECT document, url, agreed_at FROM consents WHERE user_id = $1 ORDER BY document",
        user_id,
    )
    return [Consent(*row) for row in rows]
