"""What letters say. Each is written in the reader's language, in the transaction that causes it."""

from altyn.database.engine import Transaction
from altyn.web.letters import write_letter
from altyn.web.ticket import issue_ticket
from altyn.web.visit import Visit


async def send_confirmation(tx: Transaction, visit: Visit, *, user_id: int, email: str) -> None:
    """Ask whether an address is really theirs."""
    secret = await issue_ticket(tx, "confirm", user_id=user_id, email=email)
    await write_letter(
        tx,
        recipient=email,
        subject=visit.gettext("Confirm your e-mail"),
        body=visit.gettext(
            "Open this link to confirm your address. It works for a day.\n\n%(link)s\n\n"
            "If you have not made an account here, do nothing.",
            link=_link(visit, f"/verify?t={secret}"),
        ),
    )


async def send_known_address(tx: Transaction, visit: Visit, *, email: str) -> None:
    """Somebody signs up with an address that has an account: only its owner learns that."""
    await write_letter(
        tx,
        recipient=email,
        subject=visit.gettext("You have an account already"),
        body=visit.gettext(
            "Somebody, probably you, has tried to sign up with this address.\n"
            "Sign in: %(link)s\nA new password: %(reset)s",
            link=_link(visit, "/login"),
            reset=_link(visit, "/reset"),
        ),
    )


async def send_reset(tx: Transaction, visit: Visit, *, user_id: int, email: str) -> None:
    secret = await issue_ticket(tx, "reset", user_id=user_id, email=email)
    await write_letter(
        tx,
        recipient=email,
        subject=visit.gettext("A new password"),
        body=visit.gettext(
            "Open this link to choose a new password. It works for half an hour.\n\n%(link)s\n\n"
            "If you have not asked for it, do nothing: the old password stays.",
            link=_link(visit, f"/reset/new?t={secret}"),
        ),
    )


async def send_password_changed(
    tx: Transaction, visit: Visit, *, email: str, reclaimed: bool = False
) -> None:
    """*reclaimed*: and what had been set up before the address was theirs is gone."""
    said = visit.gettext(
        "If it was not you, take a new one at once: %(link)s", link=_link(visit, "/reset")
    )
    if reclaimed:
        said += "\n\n" + visit.gettext(
            "Nobody had confirmed this address before. Somebody else may have made the account, so"
            " every key, the second step and other ways to sign in that it had are gone."
        )
    await write_letter(
        tx, recipient=email, subject=visit.gettext("Your password was changed"), body=said
    )


async def send_change(tx: Transaction, visit: Visit, *, user_id: int, email: str) -> None:
    """To the new address: the link that makes it theirs."""
    secret = await issue_ticket(tx, "change", user_id=user_id, email=email)
    await write_letter(
        tx,
        recipient=email,
        subject=visit.gettext("Confirm your new e-mail"),
        body=visit.gettext(
            "Open this link to sign in with this address from now on. It works for a day.\n\n"
            "%(link)s\n\nIf you have not asked for it, do nothing: nothing changes.",
            link=_link(visit, f"/email?t={secret}"),
        ),
    )


async def send_wanted_address(tx: Transaction, visit: Visit, *, email: str) -> None:
    """Somebody wants to change to an address that has an account: only its owner learns that."""
    await write_letter(
        tx,
        recipient=email,
        subject=visit.gettext("You have an account already"),
        body=visit.gettext(
            "Somebody, probably you, has tried to give this address to another account.\n"
            "It has one already, and nothing was changed. To use it elsewhere, change the address"
            " of this one first: %(link)s",
            link=_link(visit, "/app/settings"),
        ),
    )


async def send_change_asked(tx: Transaction, visit: Visit, *, old: str, new: str) -> None:
    """To the old address, while there is still time."""
    await write_letter(
        tx,
        recipient=old,
        subject=visit.gettext("Somebody asks to change your e-mail"),
        body=visit.gettext(
            "Your account is to be moved to %(new)s. It will be once that address is confirmed.\n"
            "If it was not you, choose a new password at once, which stops it: %(link)s",
            new=new,
            link=_link(visit, "/reset"),
        ),
    )


async def send_email_changed(tx: Transaction, visit: Visit, *, old: str, new: str) -> None:
    """To the old address, which opens nothing any more."""
    await write_letter(
        tx,
        recipient=old,
        subject=visit.gettext("Your e-mail was changed"),
        body=visit.gettext(
            "Your account is signed in to with %(new)s from now on.\n"
            "If it was not you, tell whoever runs this place at once: %(contact)s",
            new=new,
            contact=visit.shop.settings.support_contact or _link(visit, "/"),
        ),
    )


async def send_connected(tx: Transaction, visit: Visit, *, email: str, provider: str) -> None:
    await write_letter(
        tx,
        recipient=email,
        subject=visit.gettext("You can sign in through %(provider)s now", provider=provider),
        body=visit.gettext(
            "Your account was connected with you at %(provider)s.\n"
            "If it was not you, choose a new password at once: %(link)s",
            provider=provider,
            link=_link(visit, "/reset"),
        ),
    )


def _link(visit: Visit, path: str) -> str:
    return f"{visit.shop.settings.public_url}{path}"
