"""`POST /chat/completions` and `/chat/stream`: decode, hold, serve, and tell what it cost."""

import asyncio
import re
import time
from typing import Any

import msgspec
import structlog

from altyn.accounts.store import get_balance
from altyn.api.authenticate import Doorkeeper
from altyn.api.body import decode_chat, wants_usage
from altyn.api.request import Reply, Request
from altyn.api.sse import EventWriter
from altyn.api.wire import ChatCompletion, ChatUsage, chat_usage
from altyn.chat import ChatBody
from altyn.database.engine import Database, StoreUnavailableError
from altyn.errors import AltynError, InternalError
from altyn.gateway.attempt import Attempt, Receipt
from altyn.gateway.desk import Desk
from altyn.gateway.order import Order, take_order
from altyn.gateway.repeats import Repeat, Repeats, read_repeat
from altyn.keys.limits import Limits, Rates, Slot, format_reset
from altyn.keys.store import Caller
from altyn.ledger.moves import Balance
from altyn.money import format_nanos
from altyn.settings import Settings

log = structlog.get_logger("altyn.api")
QUIET_S = 15.0
"""The status line waits so long for the upstream's first event; a silent stream gets a comment."""

Headers = tuple[tuple[bytes, bytes], ...]


class Chats:
    """The two chat routes."""

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        doorkeeper: Doorkeeper,
        limits: Limits,
        desk: Desk,
        repeats: Repeats,
    ) -> None:
        self.repeats = repeats
        self.settings = settings
        self.database = database
        self.doorkeeper = doorkeeper
        self.limits = limits
        self.desk = desk
        self._own_rates: dict[tuple[int, ...], Rates] = {}
        self._rates_of: dict[int, tuple[Caller, Rates, Rates | None]] = {}

    async def complete(self, request: Request) -> Reply | None:
        """`POST /chat/completions`"""
        return await self._chat(request, stream=False)

    async def stream(self, request: Request) -> Reply | None:
        """`POST /chat/stream`"""
        return await self._chat(request, stream=True)

    async def _chat(self, request: Request, *, stream: bool) -> Reply | None:
        caller = await self.doorkeeper.authenticate(request, "chat")
        slot = await self._enter(caller)
        try:
            data = await request.read_json_body(self.settings.body_limit_bytes)
            body, fields = decode_chat(data)
            asked_usage = stream or wants_usage(body)
            body.stream = stream or bool(body.stream)
            order = self._take_order(caller, request, body, fields)
            name = request.headers.get(b"idempotency-key")
            if name is not None:
                return await self._serve_once(
                    request, order, slot, name, data, asked_usage=asked_usage
                )
            balance = await self.desk.hold(order)
        except BaseException:
            slot.leave()
            raise
        if not order.chat.stream:
            return await self._serve_whole(request, order, slot)
        await self._serve_events(request, order, slot, balance, asked_usage=asked_usage)
        return None

    def _take_order(
        self, caller: Caller, request: Request, body: ChatBody, fields: dict[str, Any]
    ) -> Order:
        assert self.desk.shelf is not None
        return take_order(
            caller,
            body,
            fields,
            request_id=request.request_id,
            shelf=self.desk.shelf,
            waits=self.desk.waits,
        )

    async def _serve_once(
        self,
        request: Request,
        order: Order,
        slot: Slot,
        name: bytes,
        data: bytes,
        *,
        asked_usage: bool,
    ) -> Reply | None:
        """Serve a request that may be sent again: the repeat gets the kept answer."""
        repeat = read_repeat(
            name,
            account_id=order.caller.account.id,
            # A test key's answer must never pass for a live one.
            body=f"{order.mode} {request.path} ".encode() + data,
            request_id=request.request_id,
        )
        kept = await self.repeats.begin(repeat)
        if kept is not None:
            slot.leave()
            request.request_id = kept.request_id
            return Reply(200, kept.body, ((b"idempotent-replayed", b"true"),))
        try:
            balance = await self.desk.hold(order)
            if not order.chat.stream:
                reply = await self._serve_whole(request, order, slot)
                return await self._keep(repeat, reply)
            receipt = await self._serve_events(
                request, order, slot, balance, asked_usage=asked_usage
            )
        except AltynError:
            await self.repeats.forget(repeat)
            raise
        if receipt.error is not None:
            await self.repeats.forget(repeat)
        return None

    async def _keep(self, repeat: Repeat, reply: Reply) -> Reply:
        try:
            await self.repeats.keep(repeat, reply.body)
        except StoreUnavailableError as error:
            # It is served and paid: the caller gets it. A repeat is then refused, not charged.
            log.warning("answer_not_kept", request_id=repeat.request_id, why=error.detail)
        return reply

    # Whole ------------------------------------------------------------------------------------

    async def _serve_whole(self, request: Request, order: Order, slot: Slot) -> Reply:
        attempt = self.desk.take(order, slot, listener=None, gone=request.line.has_left)
        receipt = await attempt.run()
        if receipt.error is not None or receipt.answer is None:
            raise receipt.error or InternalError
        order = attempt.order  # of the model that served
        completion = ChatCompletion(
            id=f"chatcmpl-{order.request_id}",
            object="chat.completion",
            created=order.created_at // 1000,
            model=order.model.id,
            choices=msgspec.Raw(receipt.answer.choices),
            usage=self._usage(receipt),
            system_fingerprint=receipt.answer.system_fingerprint,
        )
        cost = bytes(completion.usage.cost)
        balance = receipt.balance or await self._balance(order.caller)
        return Reply(
            200,
            msgspec.json.encode(completion),
            ((b"x-request-cost", cost), *self._headers(order, slot, balance)),
        )

    # As events --------------------------------------------------------------------------------

    async def _serve_events(
        self,
        request: Request,
        order: Order,
        slot: Slot,
        balance: Balance | None,
        *,
        asked_usage: bool,
    ) -> Receipt:
        now = balance or await self._balance(order.caller)
        writer = EventWriter(
            request, order=order, headers=lambda served: self._headers(served, slot, now)
        )
        attempt = self.desk.take(order, slot, listener=writer, gone=lambda: False)
        task = attempt.begin()
        left = asyncio.ensure_future(_hang_up(request, attempt))
        try:
            receipt = await self._wait(attempt, task, writer)
        finally:
            left.cancel()
        if receipt.error is not None:
            if not writer.started:
                raise receipt.error
            await writer.fail(receipt.error)
        elif attempt.left_s is None:
            await writer.end(self._usage(receipt) if asked_usage else None)
        return receipt

    async def _wait(
        self, attempt: Attempt, task: asyncio.Task[Receipt], writer: EventWriter
    ) -> Receipt:
        """Wait for the end of the attempt, and say something in every quiet quarter of a minute."""
        while True:
            quiet_s = time.monotonic() - writer.written_s
            if quiet_s >= QUIET_S and attempt.left_s is None:
                await writer.keep_alive()
                quiet_s = 0.0
            wait_s = max(QUIET_S - quiet_s, 0.1)
            done, _ = await asyncio.wait((task,), timeout=wait_s)
            if done:
                return task.result()

    # What both tell ---------------------------------------------------------------------------

    def _usage(self, receipt: Receipt) -> ChatUsage:
        verdict = receipt.verdict
        assert verdict.usage is not None
        return chat_usage(
            verdict.usage,
            charge_nanos=verdict.charge_nanos,
            currency=self.settings.currency,
            estimated=verdict.outcome == "charged_estimated",
        )

    def _headers(self, order: Order, slot: Slot, balance: Balance) -> Headers:
        headers: Headers = (
            (b"x-balance-available", format_nanos(balance.available_nanos).encode()),
        )
        if slot.limit_requests:
            headers += (
                (b"x-ratelimit-limit-requests", b"%d" % slot.limit_requests),
                (b"x-ratelimit-remaining-requests", b"%d" % slot.remaining_requests),
                (b"x-ratelimit-reset-requests", format_reset(slot.reset_requests_s).encode()),
            )
        if order.ignored:
            headers += ((b"x-ignored-parameters", _header_list(order.ignored)),)
        return headers

    async def _balance(self, caller: Caller) -> Balance:
        balance = await get_balance(self.database, caller.account.id)
        return Balance(balance.posted_nanos, balance.held_nanos)

    async def _enter(self, caller: Caller) -> Slot:
        rates = self._rates_of.get(caller.key.id)
        if rates is None or rates[0] is not caller:  # another object: something of it has changed
            rates = self._rates_of[caller.key.id] = self._find_rates(caller)
        return await self.limits.enter(
            account_id=caller.account.id, account=rates[1], key_id=caller.key.id, key=rates[2]
        )

    def _find_rates(self, caller: Caller) -> tuple[Caller, Rates, Rates | None]:
        """The limits of a caller's account, and of the key where it has some of its own."""
        account, rules, ordinary = caller.account, caller.key.rules, self.settings
        own = self._rates(
            rules.requests_per_minute or 0,
            rules.tokens_per_minute or 0,
            rules.parallel_requests or 0,
        )
        shared = self._rates(
            _or(account.requests_per_minute, ordinary.requests_per_minute),
            _or(account.tokens_per_minute, ordinary.tokens_per_minute),
            _or(account.parallel_requests, ordinary.parallel_requests),
        )
        return caller, shared, own if own != NO_RATES else None

    def _rates(self, *numbers: int) -> Rates:
        rates = self._own_rates.get(numbers)
        if rates is None:
            rates = self._own_rates[numbers] = Rates(*numbers)
        return rates


NO_RATES = Rates()


async def _hang_up(request: Request, attempt: Attempt) -> None:
    """Tell the attempt when its caller goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    attempt.leave()


def _header_list(names: tuple[str, ...]) -> bytes:
    # Names come from the caller: nothing of them may end the header.
    text = ", ".join(names)
    return re.sub(r"[^\x20-\x7e]", "?", text)[:1000].encode()


def _or(own: int | None, ordinary: int) -> int:
    return ordinary if own is None else own
