"""What the operator decides about a model on sale, in the database: replaced, retired, hidden."""

from altyn.catalog.load import require_model
from altyn.database.engine import Transaction, bump_revision
from altyn.errors import OperatorError


async def replace_model(tx: Transaction, old: str, new: str) -> None:
    """Keep `old` on sale, served and priced as `new`.

    Raises `UnknownNameError`, and `OperatorError` for a circle or a successor that is off sale.
    """
    for model_id in (old, new):
        await require_model(tx, model_id)
    await _check_no_circle(tx, old, new)
    if not await tx.fetch("SELECT 1 FROM models WHERE id = $1 AND on_sale = 1", new):
        raise OperatorError(f"{new} is hidden: 'altyn model restore {new}' first.")
    await tx.execute(
        "UPDATE models SET served_as = $2, replaced_by = $2, on_sale = 1 WHERE id = $1", old, new
    )
    await bump_revision(tx)


async def _check_no_circle(tx: Transaction, old: str, new: str) -> None:
    rows = await tx.fetch("SELECT id, served_as FROM models WHERE served_as IS NOT NULL")
    served_as = {str(row[0]): str(row[1]) for row in rows}
    at: str | None = new
    while at is not None:
        if at == old:
            raise OperatorError(f"{new} is served as {old} itself: that would be a circle.")
        at = served_as.get(at)


async def retire_model(
    tx: Transaction, model_id: str, *, retires_at: int, replaced_by: str | None
) -> None:
    """Serve the model to nobody from a moment on, and name the one to call instead.

    Raises `UnknownNameError`, and `OperatorError` while another name is served by it.
    """
    await require_model(tx, model_id)
    await _check_serves_no_other(tx, model_id)
    await tx.execute(
        "UPDATE models SET served_as = NULL, retires_at = $2, replaced_by = $3 WHERE id = $1",
        model_id,
        retires_at,
        replaced_by,
    )
    await bump_revision(tx)


async def hide_model(tx: Transaction, model_id: str) -> None:
    """Take the model off sale: not listed, and 404 when called. Raises as `retire_model`."""
    await require_model(tx, model_id)
    await _check_serves_no_other(tx, model_id)
    await tx.execute("UPDATE models SET on_sale = 0 WHERE id = $1", model_id)
    await bump_revision(tx)


async def restore_model(tx: Transaction, model_id: str) -> None:
    """Undo all of it: the model is on sale as its vendor says. Raises `UnknownNameError`."""
    await require_model(tx, model_id)
    await tx.execute(
        "UPDATE models SET on_sale = 1, served_as = NULL, retires_at = NULL, replaced_by = NULL"
        " WHERE id = $1",
        model_id,
    )
    await bump_revision(tx)


async def _check_serves_no_other(tx: Transaction, model_id: str) -> None:
    for (other,) in await tx.fetch(
        "SELECT id FROM models WHERE served_as = $1 AND on_sale = 1 ORDER BY id LIMIT 1", model_id
    ):
        raise OperatorError(
            f"{other} is served as {model_id}: 'altyn model replace {other} …' first."
        )
