"""Texts that are written where they belong and translated where they are shown."""


def N_(text: str) -> str:  # noqa: N802 -- the name that gettext's tools know
    """Mark a text for the catalogue; `words.gettext` translates it later."""
    return text


TOASTS = {
    "closed": N_("Your account is closed. Nothing of you is kept but the books."),
    "email_changed": N_("The e-mail is changed. Every other session has ended."),
    "email_confirmed": N_("Your e-mail is confirmed."),
    "password_changed": N_("The password is changed. Every other session has ended."),
    "account_reclaimed": N_(
        "The password is changed. The address had not been confirmed before: keys, the second step"
        " and other ways to sign in are gone."
    ),
    "session_ended": N_("The session has ended."),
    "code_voided": N_("The code is void. What was redeemed stays."),
    "credited": N_("The money is on the account."),
    "frozen": N_("The account is frozen."),
    "unfrozen": N_("The account may call again."),
    "key_changed": N_("The key is changed. Its new rules hold within a second."),
    "key_disabled": N_("The key is disabled. No call with it is taken until you enable it."),
    "key_enabled": N_("The key is enabled."),
    "key_revoked": N_("The key is revoked. No call with it is taken any more."),
    "redeemed": N_("The code is redeemed. The money is on your balance."),
    "signed_out": N_("You are signed out."),
    "saved": N_("Saved."),
}
"""What a deed leaves for the next page, by the name that travels in a cookie."""
