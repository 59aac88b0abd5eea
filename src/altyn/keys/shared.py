"""The limits of many processes, kept together in Redis (or Valkey).

The buckets are those of `altyn.keys.limits`, kept by one script by Redis's own clock. A slot is a
lease: its owner renews it while the request lives, so a process that dies gives its slots back by
dying. Money never depends on any of this. While Redis is down or slow, `enter` answers None and
each process enforces its part alone; it then starts with full buckets, so a caller may get at most
one minute's worth too much.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal
from weakref import WeakSet

import msgspec
import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from altyn.errors import RateLimitError
from altyn.keys.limits import (
    Rates,
    Slot,
    too_many_at_once,
    too_many_requests,
    too_many_tokens,
)

LEASE_S = 90.0
"""After this long without a renewal a slot is free: its process is dead or cut off."""

TIMEOUT_S = 0.25
"""How long Redis may take; a caller waits for two batches at most: one under way and its own."""

PAUSE_S = 5.0
"""How long Redis is left alone after it did not answer."""

# What is carried at once: little enough to be answered well within the timeout.
_BATCH = 200

# ARGV: the length of a lease in ms, and as JSON a list of words of `SharedSlot`s, each [word,
# lease, tokens, subjects]; a subject is [name, requests, tokens, parallel]. The answer, as JSON, is
# a list: to an enter {0, limit, remaining, reset in ms}, or {1 requests | 2 tokens | 3 parallel,
# limit, wait in ms}; to all else 0. One script call for many requests: packing and parsing a
# command costs the client more than all that Redis does.
#
# A bucket holds the moment it is full, in ms. Its name holds its limit: a changed limit must not
# inherit the waits of the old one.
_SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local lease_ms = ARGV[1]

local function full_at(bucket) return math.max(now, tonumber(redis.call('GET', bucket) or 0)) end
local function fill(bucket, moment)
  redis.call('SET', bucket, string.format('%.3f', moment), 'PX', math.ceil(moment - now))
end
local function lease(slots, owner)
  redis.call('ZADD', slots, string.format('%.3f', now + lease_ms), owner)
  redis.call('PEXPIRE', slots, lease_ms)
end

local words = {}

function words.enter(owner, _, subjects)
  local limit, remaining, reset = 0, 0, 0
  local taken = {}
  for _, subject in ipairs(subjects) do
    local name, rpm, tpm, parallel = unpack(subject)
    if rpm > 0 then
      local bucket = name .. ':requests:' .. rpm
      local moment = full_at(bucket) + 60000 / rpm
      local left = 60000 - (moment - now)
      if left < -0.01 then return {1, rpm, math.ceil(-left)} end
      left = math.floor((left + 0.01) * rpm / 60000)
      if limit == 0 or left < remaining then
        limit, remaining, reset = rpm, left, math.ceil(moment - now)
      end
      taken[bucket] = moment
    end
    if tpm > 0 then
      local over = full_at(name .. ':tokens:' .. tpm) - now - 60000
      if over >= 0 then return {2, tpm, math.ceil(over)} end
    end
    if parallel > 0 then
      local slots = name .. ':slots'
      redis.call('ZREMRANGEBYSCORE', slots, '-inf', string.format('%.3f', now))
      if redis.call('ZCARD', slots) >= parallel then return {3, parallel, 1000} end
    end
  end
  for bucket, moment in pairs(taken) do fill(bucket, moment) end
  words.renew(owner, 0, subjects)
  return {0, limit, remaining, reset}
end

function words.renew(owner, _, subjects)
  for _, subject in ipairs(subjects) do
    if subject[4] > 0 then lease(subject[1] .. ':slots', owner) end
  end
  return 0
end

function words.leave(owner, tokens, subjects)
  for _, subject in ipairs(subjects) do
    local name, _, tpm, parallel = unpack(subject)
    if parallel > 0 then redis.call('ZREM', name .. ':slots', owner) end
    if tpm > 0 and tokens > 0 then
      local bucket = name .. ':tokens:' .. tpm
      fill(bucket, full_at(bucket) + tokens * 60000 / tpm)
    end
  end
  return 0
end

local answers = {}
for i, said in ipairs(cjson.decode(ARGV[2])) do
  answers[i] = words[said[1]](said[2], said[3], said[4])
end
-- Without an answer Lua cannot tell a list from an object.
return #answers > 0 and cjson.encode(answers) or '[]'
"""

_log = structlog.get_logger()


_Word = tuple[Literal["enter", "renew", "leave"], str, int, "_Subjects"]
_Subjects = list[tuple[str, int, int, int]]
_Answer = list[int] | int | None
_Question = asyncio.Future[_Answer]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[list[int] | int]).decode


class SharedLimits:
    """The limits that all processes with the same Redis enforce together. Close it at the end.

    One messenger carries everything over one connection, in batches: what gathers while one batch
    is under way is the next. A request's questions and news arrive in the order they were said.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        lease_s: float = LEASE_S,
        timeout_s: float = TIMEOUT_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        # The client must not try again by itself: callers wait for it.
        self._redis = Redis.from_url(url, retry=Retry(NoBackoff(), 0))
        self._script = self._redis.register_script(_SCRIPT)
        self._clock = clock
        self._lease_ms = int(lease_s * 1000)
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._is_lost = False
        self._bag: deque[tuple[_Word, _Question | None]] = deque()
        self._has_something = asyncio.Event()
        self._slots: WeakSet[SharedSlot] = WeakSet()
        self._messenger: asyncio.Task[None] | None = None

    async def enter(
        self, *, account_id: int, account: Rates, key_id: int, key: Rates | None
    ) -> Slot | None:
        """Admit one request, raise as `Limits.enter`, or return None when Redis cannot be asked."""
        if self._is_lost:
            return None
        if self._messenger is None or self._messenger.done():
            self._messenger = asyncio.create_task(self._carry())
        slot = SharedSlot(self, account_id=account_id, account=account, key_id=key_id, key=key)
        answer = None
        try:
            answer = await self._ask(slot.word("enter"))
        finally:
            # Unanswered or cancelled, the script may still have run: its lease must not linger.
            if answer is None:
                slot.leave()
        if not isinstance(answer, list):
            return None
        kind, *facts = answer
        if kind:
            raise _refusal(kind, *facts)
        slot.limit_requests, slot.remaining_requests, reset_ms = facts
        slot.reset_requests_s = reset_ms / 1000
        self._slots.add(slot)
        return slot

    async def close(self) -> None:
        """Tell Redis what is left to tell, and part from it."""
        if self._messenger is not None:
            self._messenger.cancel()
            with suppress(asyncio.CancelledError):
                await self._messenger
        while self._bag and not self._is_lost:
            await self._carry_batch()
        await self._redis.aclose()

    def tell(self, word: _Word) -> None:
        """Let Redis know soon. Nobody waits for it."""
        self._bag.append((word, None))
        self._has_something.set()

    def part(self, slot: "SharedSlot") -> None:
        """Stop renewing a slot that its request has left."""
        self._slots.discard(slot)

    async def _ask(self, word: _Word) -> _Answer:
        """Ask Redis; None when it does not answer."""
        question: _Question = asyncio.get_running_loop().create_future()
        self._bag.append((word, question))
        self._has_something.set()
        return await question

    # The messenger --------------------------------------------------------------------------------

    async def _carry(self) -> None:
        """Carry what gathers, and renew the leases three times in their life."""
        renew_s = self._lease_ms / 3000
        renew_at = self._clock() + renew_s
        while True:
            if self._is_lost:
                # Callers do not ask meanwhile; what finished meanwhile finds out who is back.
                await asyncio.sleep(self._pause_s)
                self._has_something.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, renew_at - self._clock())):
                    await self._has_something.wait()
            if self._clock() >= renew_at:
                renew_at = self._clock() + renew_s
                self._renew()
            await self._carry_batch()

    async def _carry_batch(self) -> None:
        """Carry one batch. One that fails is lost: leases lapse by themselves, and minutes pass."""
        batch = [self._bag.popleft() for _ in range(min(_BATCH, len(self._bag)))]
        if not self._bag:
            self._has_something.clear()
        answers: Sequence[_Answer] = [None] * len(batch)
        try:
            async with asyncio.timeout(self._timeout_s):
                said = _encode([word for word, _ in batch])
                answers = _decode(await self._script(args=[self._lease_ms, said]))
        except (RedisError, OSError, TimeoutError, msgspec.MsgspecError) as error:
            self._lose(error)
        else:
            self._find()
        finally:
            for (_, question), answer in zip(batch, answers, strict=True):
                if question is not None and not question.done():
                    question.set_result(answer)

    def _renew(self) -> None:
        for slot in self._slots:
            self.tell(slot.word("renew"))

    # Losing Redis, and finding it -----------------------------------------------------------------

    def _lose(self, error: Exception) -> None:
        """Stop asking for a while. Who waits is answered now: alone is better than late."""
        if not self._is_lost:
            _log.warning("shared_limits_lost", error=f"{type(error).__name__}: {error}")
        self._is_lost = True
        for _, question in self._bag:
            if question is not None and not question.done():
                question.set_result(None)
        self._bag = deque((word, None) for word, question in self._bag if question is None)

    def _find(self) -> None:
        if self._is_lost:
            _log.info("shared_limits_found")
        self._is_lost = False


class SharedSlot:
    """A place that all processes know of."""

    __slots__ = (
        "__weakref__",
        "_lease",
        "_left",
        "_shared",
        "_subjects",
        "_tokens",
        "limit_requests",
        "remaining_requests",
        "reset_requests_s",
    )

    def __init__(
        self,
        shared: SharedLimits,
        *,
        account_id: int,
        account: Rates,
        key_id: int,
        key: Rates | None,
    ) -> None:
        self._shared = shared
        self._lease = secrets.token_hex(8)
        self._subjects = [_subject(f"altyn:{account_id}", account)]
        if key is not None:
            self._subjects.append(_subject(f"altyn:{account_id}:{key_id}", key))
        self._tokens = 0
        self._left = False
        self.limit_requests = 0
        self.remaining_requests = 0
        self.reset_requests_s = 0.0

    def word(self, word: Literal["enter", "renew", "leave"]) -> _Word:
        """What the messenger says of this slot."""
        return word, self._lease, self._tokens, self._subjects

    def spend_tokens(self, tokens: int) -> None:
        self._tokens += tokens

    def leave(self) -> None:
        if self._left:
            return
        self._left = True
        self._shared.part(self)
        self._shared.tell(self.word("leave"))


def _subject(name: str, rates: Rates) -> tuple[str, int, int, int]:
    return name, rates.requests_per_minute, rates.tokens_per_minute, rates.parallel_requests


def _refusal(kind: int, limit: int, wait_ms: int) -> RateLimitError:
    if kind == 1:
        return too_many_requests(limit, wait_ms / 1000)
    if kind == 2:  # noqa: PLR2004 -- the script's word for tokens
        return too_many_tokens(limit, wait_ms / 1000)
    return too_many_at_once(limit)
