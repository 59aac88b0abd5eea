"""What can happen to money, and what is answered. Every amount is in nanos."""

from typing import Literal

from msgspec import Struct

from altyn.money import Nanos

HoldState = Literal["settled", "voided", "expired", "unknown"]
Source = Literal["cash_in", "promo", "adjustment"]
OPERATOR_KINDS = ("cash_in", "promo", "adjustment", "revenue", "operator_loss", "provider_cost")
"""The operator's own accounts. Money comes from the first three; what customers paid lies in
`revenue`; what providers took for answers nobody paid for went from `operator_loss` to
`provider_cost`. Their balances may be negative: with the customers' they add up to zero.
"""


class KeyWindow(Struct, frozen=True):
    """The window of a key's spend limit that a call falls into."""

    key_id: int
    window_at: int
    limit_nanos: Nanos


class Hold(Struct, frozen=True, kw_only=True):
    """Set *amount_nanos* aside for one request, before the upstream is called."""

    request_id: str
    account_id: int
    key_id: int
    amount_nanos: Nanos
    model: str
    price_id: int | None
    input_bound: int
    streamed: bool
    key_window: KeyWindow | None = None
    markup_ppm: int


class Loss(Struct, frozen=True):
    """What a provider took for an answer the customer does not pay for."""

    amount_nanos: Nanos
    reason: str


class Resolve(Struct, frozen=True, kw_only=True):
    """End a hold: take *charge_nanos* of it (0 for a void), return the rest.

    `record` is the usage record that becomes true in the same transaction; the ledger only hands it
    on. A hold whose owner died with the answer under way becomes `unknown` first, without a record.
    """

    request_id: str
    account_id: int
    state: HoldState
    charge_nanos: Nanos = 0
    key_id: int | None = None
    key_window_at: int | None = None
    loss: Loss | None = None
    record: object | None = None


class Deposit(Struct, frozen=True, kw_only=True):
    """Money in. The same `reference` twice is one deposit."""

    account_id: int
    amount_nanos: Nanos
    reference: str
    reason: str = ""
    source: Source = "cash_in"


class Refund(Struct, frozen=True, kw_only=True):
    """Give back what a settled request was charged, or less; a new entry, once for each request."""

    account_id: int
    amount_nanos: Nanos
    request_id: str
    reason: str = ""


class Lose(Struct, frozen=True, kw_only=True):
    """Book what a provider took for an answer that came to its end after its hold was swept.

    Nothing is booked where the request was charged, or a loss was booked, already.
    """

    request_id: str
    loss: Loss


class Note(Struct, frozen=True, kw_only=True):
    """How far an attempt is: sent at the first upstream byte, then checkpoints. Nobody waits."""

    request_id: str
    provider: str
    upstream_id: str | None
    delivered_bytes: int


class Record(Struct, frozen=True, kw_only=True):
    """A usage record without money: a call with a test key."""

    request_id: str
    record: object


Move = Hold | Resolve | Deposit | Refund | Lose | Note | Record


class Balance(Struct, frozen=True):
    """An account after a move."""

    posted_nanos: Nanos
    held_nanos: Nanos

    @property
    def available_nanos(self) -> Nanos:
        return self.posted_nanos - self.held_nanos


# Why a move is refused ------------------------------------------------------------------------


class RefusedMoveError(Exception):
    """The books say no; nothing has changed."""


class NotAffordableError(RefusedMoveError):
    def __init__(self, balance: Balance) -> None:
        super().__init__(balance)
        self.balance = balance


class KeyLimitReachedError(RefusedMoveError):
    def __init__(self, *, spent_nanos: Nanos, limit_nanos: Nanos) -> None:
        super().__init__(spent_nanos, limit_nanos)
        self.spent_nanos = spent_nanos
        self.limit_nanos = limit_nanos


class FrozenError(RefusedMoveError):
    """The account is frozen, by the operator or by the auditor."""


class NoSuchAccountError(RefusedMoveError):
    pass


class HoldAlreadyResolvedError(RefusedMoveError):
    """Somebody else ended this hold: a sweeper, or an earlier try."""


class ChargeAboveHoldError(RefusedMoveError):
    """A charge above the hold is a fault of ours: the caller of the ledger caps it."""


class RefundAboveChargeError(RefusedMoveError):
    """The request was charged less than that, or to somebody else, or not at all."""


class NotAnAmountError(RefusedMoveError):
    """Less than nothing, or nothing where something must move: a fault of ours as well."""
