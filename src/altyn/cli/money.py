"""`altyn deposit`, `altyn balance`, `altyn refund` and `altyn ledger`: money."""

from pathlib import Path

import click

from altyn.cli.terminal import answers, ask, fail, print_json, show

with_reason = click.option("--reason", default="", help="Why, for whoever reads the books.")


@click.command("deposit")
@click.argument("email")
@click.argument("amount")
@with_reason
@click.option(
    "--reference", metavar="UNIQUE", help="The payment's own name: the same twice is one deposit."
)
@answers
def deposit(
    *, email: str, amount: str, reason: str, reference: str | None, home: Path | None, as_json: bool
) -> None:
    """Put money into an account: a decimal amount."""
    receipt = ask(home, "deposit", email=email, amount=amount, reason=reason, reference=reference)
    done = "was deposited before" if receipt["repeated"] else "is deposited"
    show(receipt, f"{_sum(receipt)} {done}; {_available(receipt)}", as_json=as_json)


@click.command("balance")
@click.argument("email")
@answers
def balance(*, email: str, home: Path | None, as_json: bool) -> None:
    """Show what an account has, holds and has used."""
    found = ask(home, "balance", email=email)
    names = ("balance", "held", "available", "total_deposited", "total_used")
    lines = [f"{name:<16}{found[name]:>24} {found['currency']}" for name in names]
    show(found, "\n".join(lines), as_json=as_json)


@click.command("refund")
@click.argument("request")
@with_reason
@answers
def refund(*, request: str, reason: str, home: Path | None, as_json: bool) -> None:
    """Give back what a request was charged, once. REQUEST is its id."""
    receipt = ask(home, "refund", request=request, reason=reason)
    done = "was given back before" if receipt["repeated"] else "is given back"
    show(receipt, f"{_sum(receipt)} {done}; {_available(receipt)}", as_json=as_json)


@click.group()
def ledger() -> None:
    """The books."""


@ledger.command("verify")
@answers
def verify(*, home: Path | None, as_json: bool) -> None:
    """Recompute every balance and check every invariant; exit 0 only if all hold."""
    found = ask(home, "ledger.verify")
    if as_json:
        print_json(found)
    else:
        print(f"{found['accounts']} accounts, {found['entries']} entries, {found['holds']} holds.")
        for finding in found["findings"]:
            print(f"BROKEN  {finding['invariant']}: {finding['what']}")
    if not found["holds_true"]:
        fail(f"The ledger does not hold. Findings: {len(found['findings'])}.")
    if not as_json:
        print("Every invariant holds.")


def _sum(receipt: dict[str, str]) -> str:
    return f"{receipt['amount']} {receipt['currency']}"


def _available(receipt: dict[str, str]) -> str:
    return f"{receipt['email']} has {receipt['available']} {receipt['currency']} to spend."
