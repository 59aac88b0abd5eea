"""How often a key and its account may call: requests and tokens a minute, requests at once.

Each limit is a bucket that holds one minute's worth and refills evenly. It is kept as one number:
the moment it will be full again (the "virtual scheduling" form of the leaky bucket, ITU-T I.371).
A bucket that is full needs no memory at all, so the idle cost nothing.

Here the buckets live in this process. `altyn.keys.shared` keeps the same buckets in Redis for many.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from altyn.errors import (
    RateLimitError,
    RateLimitExceededError,
    TooManyConcurrentRequestsError,
)

MINUTE_S = 60.0

# Sums of steps such as 60/7 do not meet 60 exactly; the last request must not fail by a hair.
_GRAIN_S = 1e-6
_ROOM_S = MINUTE_S + _GRAIN_S


class Rates(Struct, frozen=True, gc=False):
    """The limits of one account or key. 0 is no limit."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    parallel_requests: int = 0


class Slot(Protocol):
    """One admitted request's place. It belongs to the request and is given back by `leave`.

    `limit_requests`, `remaining_requests` and `reset_requests_s` tell of the tightest limit that
    applies; all 0 when there is none.
    """

    limit_requests: int
    remaining_requests: int
    reset_requests_s: float

    def spend_tokens(self, tokens: int) -> None:
        """Count what the answer used; call it before `leave`. The bucket may go below zero."""

    def leave(self) -> None:
        """Free the place. Leaving twice is leaving once."""


class SharedStore(Protocol):
    """Where several processes keep their limits together."""

    async def enter(
        self, *, account_id: int, account: Rates, key_id: int, key: Rates | None
    ) -> Slot | None:
        """Admit or raise as `Limits.enter`; None when the store cannot be asked now."""


class Limits:
    """The limits of everybody, for one process.

    `workers` processes that cannot ask each other each enforce their part of every limit.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        workers: int = 1,
        store: SharedStore | None = None,
    ) -> None:
        self._clock = clock
        self._workers = workers
        self._store = store
        self._accounts: OrderedDict[int, _Meter] = OrderedDict()
        self._keys: OrderedDict[int, _Meter] = OrderedDict()

    async def enter(
        self, *, account_id: int, account: Rates, key_id: int, key: Rates | None = None
    ) -> Slot:
        """Admit one request, or raise and take nothing from any limit.

        `key` is None where the key has no limits of its own. Raises `RateLimitExceededError` or
        `TooManyConcurrentRequestsError`.
        """
        if self._store is not None:
            slot = await self._store.enter(
                account_id=account_id, account=account, key_id=key_id, key=key
            )
            if slot is not None:
                return slot
        return self.enter_local(account_id=account_id, account=account, key_id=key_id, key=key)

    def enter_local(
        self, *, account_id: int, account: Rates, key_id: int, key: Rates | None = None
    ) -> "LocalSlot":
        """Admit by what this process alone knows; as `enter`, without awaiting."""
        now = self._clock()
        payer = self._accounts.get(account_id)
        if payer is None or payer.rates is not account:
            payer = self._meter(self._accounts, account_id, account, now)
        payer_full_at = payer.check(now)
        if key is None:
            payer.take(payer_full_at)
            return LocalSlot(self._clock, now, payer, None)
        holder = self._meter(self._keys, key_id, key, now)
        holder_full_at = holder.check(now)
        # Everything was looked at before anything is taken: a refusal must not eat from the others.
        payer.take(payer_full_at)
        holder.take(holder_full_at)
        return LocalSlot(self._clock, now, payer, holder)

    def __len__(self) -> int:
        """How many accounts and keys are remembered."""
        return len(self._accounts) + len(self._keys)

    def _meter(
        self, meters: OrderedDict[int, "_Meter"], number: int, rates: Rates, now: float
    ) -> "_Meter":
        meter = meters.get(number)
        if meter is None:
            _forget_idle(meters, now)
            meter = meters[number] = _Meter()
        if meter.rates is not rates:
            meter.set_rates(rates, self._workers, now)
        return meter


def _forget_idle(meters: OrderedDict[int, "_Meter"], now: float) -> None:
    """Look at the two that were not looked at for longest, and forget those that are idle.

    Two looks for each newcomer keep the memory within about twice what is in use, and no request
    ever waits for a sweep over everybody.
    """
    for _ in range(min(2, len(meters))):
        number, meter = meters.popitem(last=False)
        if not meter.is_idle(now):
            meters[number] = meter


class _Meter:
    """What one account or key has used of its limits."""

    __slots__ = (
        "limit",
        "parallel",
        "rates",
        "request_s",
        "requests_full_at",
        "running",
        "token_s",
        "tokens_full_at",
    )

    def __init__(self) -> None:
        self.running = 0
        self.requests_full_at = 0.0
        self.tokens_full_at = 0.0
        self.rates: Rates | None = None
        self.limit = 0
        self.parallel = 0
        self.request_s = 0.0
        self.token_s = 0.0

    def set_rates(self, rates: Rates, workers: int, now: float) -> None:
        """Take over new limits. What was used stays used: so many requests, so many tokens."""
        request_s = _step_s(rates.requests_per_minute, workers)
        token_s = _step_s(rates.tokens_per_minute, workers)
        self.requests_full_at = _moved(self.requests_full_at, now, self.request_s, request_s)
        self.tokens_full_at = _moved(self.tokens_full_at, now, self.token_s, token_s)
        self.rates, self.request_s, self.token_s = rates, request_s, token_s
        self.limit = rates.requests_per_minute
        self.parallel = -(-rates.parallel_requests // workers)

    def check(self, now: float) -> float:
        """Raise if one more request is too many; else say when its bucket would be full again."""
        full_at = max(now, self.requests_full_at) + self.request_s
        if full_at - now > _ROOM_S:
            raise too_many_requests(self.limit, full_at - now - MINUTE_S)
        if self.token_s and self.tokens_full_at - now >= MINUTE_S:
            wait_s = self.tokens_full_at - now - MINUTE_S
            raise too_many_tokens(self._stated().tokens_per_minute, wait_s)
        if self.running >= self.parallel > 0:
            raise too_many_at_once(self._stated().parallel_requests)
        return full_at

    def take(self, full_at: float) -> None:
        """Take what `check` allowed."""
        self.running += 1
        self.requests_full_at = full_at

    def spend_tokens(self, tokens: int, now: float) -> None:
        self.tokens_full_at = max(now, self.tokens_full_at) + tokens * self.token_s

    def requests_left(self, now: float) -> int:
        """How many more requests are admitted now; 0 without a limit.

        With many workers the count is this one's, scaled up to all of them.
        """
        return int((now - self.requests_full_at + _ROOM_S) * self.limit / MINUTE_S)

    def is_idle(self, now: float) -> bool:
        return not self.running and self.requests_full_at <= now and self.tokens_full_at <= now

    def _stated(self) -> Rates:
        assert self.rates is not None
        return self.rates


class LocalSlot:
    """A place that this process gave."""

    __slots__ = (
        "_account",
        "_clock",
        "_key",
        "_left",
        "limit_requests",
        "remaining_requests",
        "reset_requests_s",
    )

    def __init__(
        self, clock: Callable[[], float], now: float, account: _Meter, key: _Meter | None
    ) -> None:
        self._clock = clock
        self._account = account
        self._key = key
        self._left = False
        tightest = account
        if (
            key is not None
            and key.limit
            and (not account.limit or key.requests_left(now) < account.requests_left(now))
        ):
            tightest = key
        self.limit_requests = tightest.limit
        self.remaining_requests = tightest.requests_left(now)
        self.reset_requests_s = tightest.requests_full_at - now

    def spend_tokens(self, tokens: int) -> None:
        now = self._clock()
        self._account.spend_tokens(tokens, now)
        if self._key is not None:
            self._key.spend_tokens(tokens, now)

    def leave(self) -> None:
        if self._left:
            return
        self._left = True
        self._account.running -= 1
        if self._key is not None:
            self._key.running -= 1

    def __del__(self) -> None:
        # A request that dies without a word must not lock its key until the next restart.
        if not self._left:
            self.leave()


def _step_s(limit: int, workers: int) -> float:
    """Seconds that one request or token takes to come back; 0 without a limit."""
    # Rounded up: a limit of 1 shared by four workers must not become "never".
    return MINUTE_S / -(-limit // workers) if limit else 0.0


def _moved(full_at: float, now: float, old_step_s: float, step_s: float) -> float:
    """When a bucket is full again whose steps come back faster or slower from now on."""
    if not old_step_s or full_at <= now:
        return full_at
    return now + (full_at - now) * step_s / old_step_s


# What is said to those who are refused ---------------------------------------------------------


def too_many_requests(limit: int, wait_s: float) -> RateLimitError:
    return RateLimitExceededError(
        limit=limit, unit="requests", retry_after_s=max(1, math.ceil(wait_s))
    )


def too_many_tokens(limit: int, wait_s: float) -> RateLimitError:
    return RateLimitExceededError(
        limit=limit, unit="tokens", retry_after_s=max(1, math.ceil(wait_s))
    )


def too_many_at_once(limit: int) -> RateLimitError:
    return TooManyConcurrentRequestsError(limit=limit, retry_after_s=1)


def format_reset(seconds: float) -> str:
    """Write a duration as OpenAI's rate-limit headers do: `120ms`, `1s`, `8.64s`, `6m0s`.

    Rounded up to what is shown, so that nobody comes back too early.
    """
    if seconds < 1:
        return f"{max(0, math.ceil(seconds * 1000 - _GRAIN_S))}ms"
    if seconds < MINUTE_S:
        return f"{math.ceil(seconds * 100 - _GRAIN_S) / 100:g}s"
    minutes, rest = divmod(math.ceil(seconds), 60)
    return f"{minutes}m{rest}s"
