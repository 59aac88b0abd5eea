"""`Authorization` header to `Caller`: one path for every route."""

import ipaddress
from collections.abc import Mapping
from typing import Any

from altyn.api.request import Request
from altyn.database.engine import now_ms
from altyn.errors import (
    AccountFrozenError,
    ExpiredApiKeyError,
    InsufficientScopeError,
    InvalidApiKeyError,
    IpNotAllowedError,
    MissingApiKeyError,
    RevokedApiKeyError,
)
from altyn.keys.key import digest, parse
from altyn.keys.ring import Ring
from altyn.keys.store import Caller, Network

BEARER = b"bearer "
CALLER = "altyn.caller"
"""Where a page of ours says who calls, in the scope of the request it makes: see `web/call.py`.
What comes from outside is headers, which cannot put anything there.
"""


class Doorkeeper:
    """Finds the caller behind a request, or says why there is none."""

    def __init__(self, ring: Ring, *, pepper: bytes, trusted_proxies: str) -> None:
        self.ring = ring
        self.pepper = pepper
        self.trusted_proxies = tuple(
            ipaddress.ip_network(part.strip())
            for part in trusted_proxies.split(",")
            if part.strip()
        )

    async def authenticate(self, request: Request, scope: str) -> Caller:
        """Who calls. Raises an `AuthenticationError` or a `PermissionDeniedError`."""
        caller: Caller | None = request.scope.get(CALLER) or await self._find(request)
        if caller is None:
            raise InvalidApiKeyError
        self._check(caller, request, scope)
        return caller

    async def _find(self, request: Request) -> Caller | None:
        header = request.headers.get(b"authorization")
        if header is None or header[:7].lower() != BEARER:
            raise MissingApiKeyError
        secret = header[7:].strip().decode("latin-1")
        # A key with a wrong checksum is refused here, without asking the database.
        if parse(secret) is None:
            raise InvalidApiKeyError
        key_digest = digest(secret, self.pepper)
        return self.ring.find_known(key_digest) or await self.ring.find(key_digest)

    def _check(self, caller: Caller, request: Request, scope: str) -> None:
        key = caller.key
        if key.revoked_at is not None or key.disabled_at is not None:
            raise RevokedApiKeyError
        if key.rules.expires_at is not None and key.rules.expires_at <= now_ms():
            raise ExpiredApiKeyError
        if caller.networks is not None and not _inside(
            self.read_address(request.scope), caller.networks
        ):
            raise IpNotAllowedError
        if key.rules.scopes is not None and scope not in key.rules.scopes:
            raise InsufficientScopeError(scope=scope)
        # A frozen account may look, not call.
        if caller.account.frozen and scope == "chat":
            raise AccountFrozenError

    def read_address(self, scope: Mapping[str, Any]) -> str:
        """The caller's address; what a proxy says of it only if the proxy is one of ours."""
        client = scope.get("client")
        address = str(client[0]) if client else ""
        lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        if not lines or not _inside(address, self.trusted_proxies):
            return address
        # First to last: a header that came twice is one list.
        for hop in reversed(b",".join(lines).decode("latin-1").split(",")):
            address = hop.strip()
            if not _inside(address, self.trusted_proxies):
                break
        return address


def _inside(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return False
    # On a socket for both kinds, an IPv4 address comes as ::ffff:203.0.113.7.
    if number.version == 6 and number.ipv4_mapped is not None:  # noqa: PLR2004
        number = number.ipv4_mapped
    return any(number in network for network in networks)
