"""People as the operator looks for them: by page, by a part of their address."""

from altyn.accounts.store import USER, User
from altyn.database.engine import Database


async def search_users(
    database: Database, *, query: str, limit: int, before: int | None = None
) -> list[User]:
    """The newest first, below the id *before* if it is given, whose address holds *query*."""
    rows = await database.read(
        f"{USER} WHERE (CAST($1 AS BIGINT) IS NULL OR u.id < $1)"
        " AND ($2 = '' OR u.email LIKE $3 ESCAPE '!')"
        f" ORDER BY u.id DESC LIMIT {limit:d}",
        before,
        query,
        f"%{_literally(query.lower())}%",
    )
    return [User(*row) for row in rows]


async def find_user_by_id(database: Database, user_id: int) -> User | None:
    rows = await database.read(f"{USER} WHERE u.id = $1", user_id)
    return User(*rows[0]) if rows else None


async def count_users(database: Database) -> int:
    ((count,),) = await database.read("SELECT COUNT(*) FROM users")
    return int(count)


def _literally(text: str) -> str:
    """A text to look for with LIKE, whatever signs it holds."""
    for sign in "!%_":
        text = text.replace(sign, f"!{sign}")
    return text
