"""Everything that can go wrong, as one tree; each failure carries its facts, code and status.

AltynError
* InvalidRequestError 400             what the caller sent cannot be served
  x InvalidJsonError, MissingParameterError, InvalidParameterError, UnsupportedParameterError
  x ContextLengthExceededError, KeyInUrlError, BodyTooLargeError 413, UnsupportedMediaTypeError 415
  x NotFoundError 404, ModelNotFoundError 404, MethodNotAllowedError 405
  x ModelNotPricedError 409, IdempotencyConflictError 409
* AuthenticationError 401             no key, or one that does not open the door
  x MissingApiKeyError, InvalidApiKeyError, RevokedApiKeyError, ExpiredApiKeyError
* BillingError 402                    the money is not there
  x InsufficientBalanceError, KeyLimitExceededError
* PermissionDeniedError 403           the key is good, the deed is not allowed
  x ModelNotAllowedError, IpNotAllowedError, AccountFrozenError, InsufficientScopeError
* RateLimitError 429                  too much at once
  x RateLimitExceededError, TooManyConcurrentRequestsError
* InternalError 500                   ours; the caller learns nothing but the request id
* UpstreamError 502, 503, 504         the other side of us
  x UpstreamFailedError, UpstreamInvalidResponseError, ModelUnavailableError, OverloadedError,
    UpstreamTimeoutError
* OperatorError                       a command line that cannot be carried out; one clear sentence
  x InvalidAmountError, SettingError, StoreLockedError, ...

The texts, in English and Russian, stand in `error_texts.py`.
"""

from typing import Any, ClassVar

from altyn.error_texts import MESSAGES, REASONS


class AltynError(Exception):
    """Anything that is refused, with a stable `code` and the facts a program needs."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "api_error"
    code: ClassVar[str] = "internal_error"

    def __init__(self, *, param: str | None = None, **facts: Any) -> None:
        self.param = param
        self.facts = facts
        super().__init__(self.message("en"))

    def message(self, language: str) -> str:
        """The sentence a person reads, in `ru` or `en`."""
        # A vendor often refuses a request without a word on which part of it, and with a full stop.
        facts = {"param": self.param or "request", **self.facts}
        if "reason" in facts and facts["reason"] in REASONS:
            reason = REASONS[facts["reason"]][language].format(**facts)
            facts["reason"] = reason.removesuffix(".")
        return MESSAGES[self.code][language].format(**facts)


# What the caller sent -------------------------------------------------------------------------


class InvalidRequestError(AltynError):
    status = 400
    type = "invalid_request_error"


class InvalidJsonError(InvalidRequestError):
    """Facts: `reason`."""

    code = "invalid_json"


class MissingParameterError(InvalidRequestError):
    code = "missing_parameter"


class InvalidParameterError(InvalidRequestError):
    """Facts: `reason`, a name in `REASONS` with its own facts, or a sentence of a library."""

    code = "invalid_parameter"


class UnsupportedParameterError(InvalidRequestError):
    """Facts: `model`."""

    code = "unsupported_parameter"


class ContextLengthExceededError(InvalidRequestError):
    """Facts: `context_length`."""

    code = "context_length_exceeded"


class KeyInUrlError(InvalidRequestError):
    code = "key_in_url"


class NotFoundError(InvalidRequestError):
    status = 404
    code = "not_found"


class ModelNotFoundError(InvalidRequestError):
    """Facts: `model`; of one that was retired also `retired_at` and `replaced_by`, or None."""

    status = 404
    code = "model_not_found"

    def __init__(self, *, reason: str = "not_on_sale", **facts: Any) -> None:
        super().__init__(reason=reason, **facts)


class MethodNotAllowedError(InvalidRequestError):
    """Facts: `allowed`, the methods that work here."""

    status = 405
    code = "method_not_allowed"


class ModelNotPricedError(InvalidRequestError):
    """Facts: `model`."""

    status = 409
    code = "model_not_priced"


class IdempotencyConflictError(InvalidRequestError):
    status = 409
    code = "idempotency_conflict"


class BodyTooLargeError(InvalidRequestError):
    """Facts: `limit_bytes`."""

    status = 413
    code = "body_too_large"


class UnsupportedMediaTypeError(InvalidRequestError):
    status = 415
    code = "unsupported_media_type"


# Who is calling -------------------------------------------------------------------------------


class AuthenticationError(AltynError):
    status = 401
    type = "authentication_error"


class MissingApiKeyError(AuthenticationError):
    code = "missing_api_key"


class InvalidApiKeyError(AuthenticationError):
    code = "invalid_api_key"


class RevokedApiKeyError(AuthenticationError):
    code = "revoked_api_key"


class ExpiredApiKeyError(AuthenticationError):
    code = "expired_api_key"


# Money ----------------------------------------------------------------------------------------


class BillingError(AltynError):
    status = 402
    type = "billing_error"


class InsufficientBalanceError(BillingError):
    """Facts: `required, available, held, shortfall` (decimal strings), `currency`,
    `affordable_max_tokens`, `top_up_url`.
    """

    code = "insufficient_balance"


class KeyLimitExceededError(BillingError):
    """Facts: `limit, spent, required` (decimal strings), `currency`, `period`."""

    code = "key_limit_exceeded"


# What is allowed ------------------------------------------------------------------------------


class PermissionDeniedError(AltynError):
    status = 403
    type = "permission_error"


class ModelNotAllowedError(PermissionDeniedError):
    """Facts: `model`."""

    code = "model_not_allowed"


class IpNotAllowedError(PermissionDeniedError):
    code = "ip_not_allowed"


class AccountFrozenError(PermissionDeniedError):
    code = "account_frozen"


class InsufficientScopeError(PermissionDeniedError):
    """Facts: `scope`."""

    code = "insufficient_scope"


class RateLimitError(AltynError):
    """Facts: `retry_after_s`."""

    status = 429
    type = "rate_limit_error"


class RateLimitExceededError(RateLimitError):
    """Facts: `limit`, `unit` (requests or tokens), `retry_after_s`."""

    code = "rate_limit_exceeded"


class TooManyConcurrentRequestsError(RateLimitError):
    """Facts: `limit`, `retry_after_s`."""

    code = "too_many_concurrent_requests"


# Us and the other side of us ------------------------------------------------------------------


class InternalError(AltynError):
    pass


class UpstreamError(AltynError):
    """The upstream did not serve. `detail` is for the operator's log, never for the caller:
    it may quote what the vendor said, and that names keys and accounts that are not the caller's.
    """

    status = 502
    type = "upstream_error"

    def __init__(self, detail: str = "", **facts: Any) -> None:
        super().__init__(**facts)
        self.detail = detail


class UpstreamFailedError(UpstreamError):
    code = "upstream_error"


class UpstreamInvalidResponseError(UpstreamError):
    code = "upstream_invalid_response"


class ModelUnavailableError(UpstreamError):
    """Facts: `model`, `retry_after_s`."""

    status = 503
    code = "model_unavailable"


class OverloadedError(UpstreamError):
    """Facts: `retry_after_s`."""

    status = 503
    code = "overloaded"


class UpstreamTimeoutError(UpstreamError):
    status = 504
    code = "upstream_timeout"


# The operator's side --------------------------------------------------------------------------


class OperatorError(AltynError):
    """A command that cannot be carried out. The message is the sentence that is printed."""

    status = 400
    type = "operator_error"
    code = "operator_error"

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence=sentence)


class InvalidAmountError(OperatorError):
    def __init__(self, text: str) -> None:
        super().__init__(
            f"'{text}' is not an amount of money: write a decimal number with at most 9 decimals."
        )


class SettingError(OperatorError):
    pass


class StoreLockedError(OperatorError):
    pass


class AlreadyExistsError(OperatorError):
    pass


class UnknownNameError(OperatorError):
    pass


class LedgerBrokenError(OperatorError):
    """An invariant of the ledger does not hold. The sentence names it."""
