"""What a page says when it cannot be shown: what happened, why, and what to do."""

from msgspec import Struct

from altyn.database.engine import StoreUnavailableError
from altyn.errors import AltynError, MethodNotAllowedError, NotFoundError, RateLimitError
from altyn.web.words import Words


class ForeignFormError(Exception):
    """A form that another site made the browser send."""


class NotAllowedError(Exception):
    """Somebody is signed in, and this is not for them."""


class SignInRefusedError(Exception):
    """The identity provider, or what it says of somebody, does not let them in: why, in a word."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Refusal(Struct, frozen=True, kw_only=True):
    """A refusal as it is shown. `wait_s` where waiting helps."""

    status: int
    title: str
    text: str
    wait_s: int | None = None


def explain(error: Exception, words: Words) -> Refusal:
    """Say it to the reader; of a fault of ours they learn nothing but that it is ours."""
    _ = words.gettext
    if isinstance(error, NotFoundError | MethodNotAllowedError):
        return Refusal(
            status=error.status,
            title=_("There is no such page"),
            text=_("The address is mistyped, or what was here is gone."),
        )
    if isinstance(error, NotAllowedError):
        return Refusal(
            status=403,
            title=_("This page is not for your account"),
            text=_("It belongs to the people who run this place."),
        )
    if isinstance(error, ForeignFormError):
        return Refusal(
            status=403,
            title=_("This form came from another site"),
            text=_("For your safety nothing was done. Open the page here and send it again."),
        )
    if isinstance(error, RateLimitError):
        return _too_often(int(error.facts["retry_after_s"]), words)
    if isinstance(error, StoreUnavailableError):
        return Refusal(
            status=503,
            title=_("The database cannot be used now"),
            text=_("Nothing was changed. Try again in a moment."),
            wait_s=2,
        )
    if isinstance(error, AltynError) and error.status < 500:  # noqa: PLR2004 -- theirs, not ours
        return Refusal(
            status=error.status,
            title=_("That cannot be done"),
            text=error.message(words.language),
        )
    return Refusal(
        status=500,
        title=_("Something went wrong on our side"),
        text=_("Nothing was charged. Try again; if it stays, tell support the request's number."),
    )


def _too_often(wait_s: int, words: Words) -> Refusal:
    return Refusal(
        status=429,
        title=words.gettext("Too many attempts"),
        text=words.ngettext(
            "Try again in %(num)s second.", "Try again in %(num)s seconds.", wait_s
        ),
        wait_s=wait_s,
    )
