"""`GET /key`: what the calling key may do and has spent."""

from altyn.api.authenticate import Doorkeeper
from altyn.api.request import Reply, Request, json_reply
from altyn.api.usage import iso
from altyn.api.wire import KeyCard
from altyn.database.engine import Database, now_ms
from altyn.keys.key import window_end, window_start
from altyn.keys.store import Caller, find_key_spend
from altyn.money import Nanos, format_nanos
from altyn.settings import Settings
from altyn.usage.report import Filter, sum_records


class Keys:
    def __init__(self, *, doorkeeper: Doorkeeper, database: Database, settings: Settings) -> None:
        self.doorkeeper = doorkeeper
        self.database = database
        self.settings = settings

    async def show(self, request: Request) -> Reply:
        """`GET /key`"""
        return json_reply(await self._card(await self.doorkeeper.authenticate(request, "key")))

    async def _card(self, caller: Caller) -> KeyCard:
        key, rules, account = caller.key, caller.key.rules, caller.account
        now = now_ms()
        limit = rules.limit_nanos
        spent, held = await self._spent(caller, now)
        resets_at = window_end(rules.limit_period, now) if limit is not None else None
        settings = self.settings
        return KeyCard(
            object="key",
            id=key.id,
            name=key.name,
            mode=key.mode,
            prefix=key.prefix,
            last_four=key.last_four,
            currency=settings.currency,
            limit=None if limit is None else format_nanos(limit),
            limit_period=None if limit is None else rules.limit_period,
            limit_remaining=None if limit is None else format_nanos(max(0, limit - spent - held)),
            limit_resets_at=None if resets_at is None else iso(resets_at),
            spent=format_nanos(spent),
            held=format_nanos(held),
            models=rules.models,
            ip_ranges=rules.ip_ranges,
            scopes=rules.scopes,
            requests_per_minute=_tightest(
                rules.requests_per_minute,
                account.requests_per_minute,
                settings.requests_per_minute,
            ),
            tokens_per_minute=_tightest(
                rules.tokens_per_minute, account.tokens_per_minute, settings.tokens_per_minute
            ),
            parallel_requests=_tightest(
                rules.parallel_requests, account.parallel_requests, settings.parallel_requests
            ),
            created_at=iso(key.created_at),
            expires_at=None if rules.expires_at is None else iso(rules.expires_at),
        )

    async def _spent(self, caller: Caller, now: int) -> tuple[Nanos, Nanos]:
        """Spent and held: in the window of its limit, or since it was made if it has none."""
        key, rules = caller.key, caller.key.rules
        if rules.limit_nanos is not None:
            window_at = window_start(rules.limit_period, now)
            return await find_key_spend(self.database, key_id=key.id, window_at=window_at)
        totals = await sum_records(self.database, Filter(account_id=key.account_id, key_id=key.id))
        return totals.charge_nanos, 0


def _tightest(of_key: int | None, of_account: int | None, ordinary: int) -> int:
    """The limit that is met first; 0 is no limit."""
    account = ordinary if of_account is None else of_account
    limits = [limit for limit in (of_key or 0, account) if limit]
    return min(limits) if limits else 0
