"""The identity provider that the operator has chosen, spoken to by OpenID Connect.

Authlib makes the requests and knows the claims, joserfc the signatures. What is decided here: how
long and how much is read, that only signatures with a public key count, and which claims a person
is made of. No token is kept, shown or logged.
"""

import asyncio
import re
import time
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx2
import msgspec
import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidClaimError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry
from msgspec import Struct

from altyn.accounts.identities import Identity
from altyn.settings import Settings
from altyn.upstream.dial import default_tls
from altyn.web.half_way import Journey
from altyn.web.refusal import SignInRefusedError

Read = TypeVar("Read")
log = structlog.get_logger("altyn.web")
WELL_KNOWN = "/.well-known/openid-configuration"
CALLBACK = "/oauth/callback"
SCOPES = "openid email profile"
ALGORITHMS = [f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)]
"""Never `none`, and no HMAC: with one, whoever knows the public key could sign (RFC 8725, 3.1)."""

KEY_KINDS = ("RSA", "EC")
ANSWER_BYTES_MAX = 256 * 1024
PATIENCE_S = 10.0
"""For everything that is asked in one step."""

KEPT_S = 3600.0
"""How long the provider's addresses and keys are taken as known."""

ASKED_AGAIN_S = 30.0
"""How soon its keys are read again for a token that names another: not for each forged one."""

LEEWAY_S = 60
"""By how much its clock may go wrong."""

ERROR_CODE = re.compile("[a-z_]{1,40}")
SUBJECT_LENGTH_MAX = 255
NAME_LENGTH_MAX = 100


class Discovery(Struct, frozen=True, kw_only=True):
    """What a provider tells of itself (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class IdentityProvider:
    """`begin` says where a browser is sent, `finish` who came back. Both raise
    `SignInRefusedError`, with a reason for people; the log says more.
    """

    def __init__(self, settings: Settings) -> None:
        assert settings.oidc_issuer is not None
        self.issuer = settings.oidc_issuer
        self.name = settings.oidc_name or urlsplit(self.issuer).hostname or ""
        self._client_id = settings.oidc_client_id
        self._client_secret = settings.oidc_client_secret
        self._redirect_uri = f"{settings.public_url}{CALLBACK}"
        self._discovery: tuple[float, Discovery] | None = None
        self._keys: tuple[float, KeySet] | None = None

    async def begin(self, journey: Journey) -> str:
        """The address of the provider's page that asks who somebody is."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                discovery = await self._discover()
        except Exception as error:  # noqa: BLE001 -- as in `finish`
            raise _refused("away", error) from None
        async with self._client(discovery) as client:
            url, _ = client.create_authorization_url(
                discovery.authorization_endpoint,
                state=journey.state,
                nonce=journey.nonce,
                code_verifier=journey.verifier,
            )
        return str(url)

    async def finish(self, journey: Journey, *, code: str) -> Identity:
        """Exchange a code for a token, and read who it is of."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                discovery = await self._discover()
                return await self._exchange(discovery, journey, code)
        except (AuthlibBaseError, JoseError) as error:
            raise _refused("doubtful", error) from None
        except Exception as error:  # noqa: BLE001 -- its own words may quote a token: not one is logged
            raise _refused("away", error) from None

    def decline(self, code: str) -> SignInRefusedError:
        """What to raise of a browser that comes back with an error (RFC 6749, 4.1.2.1)."""
        _note("declined", code=code)
        return SignInRefusedError("declined")

    async def _exchange(self, discovery: Discovery, journey: Journey, code: str) -> Identity:
        async with self._client(discovery) as client:
            token = await client.fetch_token(
                discovery.token_endpoint,
                grant_type="authorization_code",
                code=code,
                code_verifier=journey.verifier,
            )
            claims = await self._check(discovery, token, nonce=journey.nonce)
            if "email" not in claims and discovery.userinfo_endpoint:
                said = await client.get(discovery.userinfo_endpoint)
                claims |= _of_the_same(claims, _read(said, dict[str, Any]))
        return self._identity(claims)

    def _identity(self, claims: dict[str, Any]) -> Identity:
        email, name = claims.get("email"), claims.get("name")
        return Identity(
            issuer=self.issuer,
            subject=claims["sub"],
            email=email.strip().lower() if isinstance(email, str) else None,
            # Amazon's Cognito says it as a text.
            email_verified=claims.get("email_verified") in (True, "true"),
            name=name[:NAME_LENGTH_MAX] if isinstance(name, str) and name.isprintable() else None,
        )

    # The token --------------------------------------------------------------------------------

    async def _check(
        self, discovery: Discovery, token: dict[str, Any], *, nonce: str
    ) -> dict[str, Any]:
        """The claims of an ID token whose every claim is right (OpenID Connect Core, 3.1.3.7)."""
        written = str(token.get("id_token", ""))
        try:
            signed = self._verify(written, await self._read_keys(discovery))
        except InvalidKeyIdError:
            keys = await self._read_keys(discovery, newer_than_s=ASKED_AGAIN_S)
            signed = self._verify(written, keys)
        claims = CodeIDToken(
            signed.claims,
            signed.header,
            {
                "iss": {"essential": True, "value": discovery.issuer},
                "aud": {"essential": True, "value": self._client_id},
                "nonce": {"essential": True, "value": nonce},
                "sub": {"essential": True},
            },
            {
                "nonce": nonce,
                "client_id": self._client_id,
                "access_token": token.get("access_token"),
            },
        )
        claims.validate(leeway=LEEWAY_S)
        if len(claims["sub"]) > SUBJECT_LENGTH_MAX or not claims["sub"].isprintable():
            raise InvalidClaimError("sub")
        return dict(claims)

    def _verify(self, written: str, keys: KeySet) -> jwt.Token:
        registry = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)
        return jwt.decode(written, key=keys, registry=registry)

    # The provider -----------------------------------------------------------------------------

    async def _discover(self) -> Discovery:
        if self._discovery is None or _age_s(self._discovery) > KEPT_S:
            async with self._client() as client:
                url = f"{self.issuer.rstrip('/')}{WELL_KNOWN}"
                said = await client.request("GET", url, withhold_token=True)
            discovery = _read(said, Discovery)
            self._refuse_another(discovery)
            self._discovery = (time.monotonic(), discovery)
        return self._discovery[1]

    def _refuse_another(self, discovery: Discovery) -> None:
        """It must say that it is who was asked, and send nobody's code over the open net."""
        if discovery.issuer.rstrip("/") != self.issuer.rstrip("/"):
            raise ValueError("another issuer")
        scheme = urlsplit(self.issuer).scheme
        for url in (
            discovery.authorization_endpoint,
            discovery.token_endpoint,
            discovery.jwks_uri,
            discovery.userinfo_endpoint or self.issuer,
        ):
            if urlsplit(url).scheme not in {"https", scheme}:
                raise ValueError("an endpoint without TLS")

    async def _read_keys(self, discovery: Discovery, *, newer_than_s: float = KEPT_S) -> KeySet:
        if self._keys is None or _age_s(self._keys) > newer_than_s:
            async with self._client() as client:
                said = await client.request("GET", discovery.jwks_uri, withhold_token=True)
            listed = _read(said, dict[str, list[dict[str, Any]]])["keys"]
            signing = [
                key for key in listed if key.get("kty") in KEY_KINDS and key.get("use") != "enc"
            ]
            self._keys = (time.monotonic(), KeySet.import_key_set({"keys": signing}))
        return self._keys[1]

    def _client(self, discovery: Discovery | None = None) -> Any:
        methods = discovery.token_endpoint_auth_methods_supported if discovery else ()
        basic = "client_secret_basic" in methods or "client_secret_post" not in methods
        with_secret = "client_secret_basic" if basic else "client_secret_post"
        return AsyncOAuth2Client(
            client_id=self._client_id,
            client_secret=self._client_secret,
            token_endpoint_auth_method=with_secret if self._client_secret else "none",
            redirect_uri=self._redirect_uri,
            scope=SCOPES,
            code_challenge_method="S256",
            timeout=PATIENCE_S,
            trust_env=False,
            transport=_Narrow(verify=default_tls(), trust_env=False),
        )


class _Narrow(httpx2.AsyncHTTPTransport):
    """Takes short answers only, and none that grows when it is unpacked."""

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request.headers["accept-encoding"] = "identity"
        response = await super().handle_async_request(request)
        try:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise ValueError("a packed answer")
            body = b""
            async for piece in response.stream:  # type: ignore[union-attr]
                body += piece
                if len(body) > ANSWER_BYTES_MAX:
                    raise ValueError("an endless answer")
        finally:
            await response.aclose()
        return httpx2.Response(response.status_code, headers=response.headers, content=body)


def _read(said: httpx2.Response, kind: type[Read]) -> Read:
    if said.status_code != httpx2.codes.OK:
        raise ValueError(f"status {said.status_code}")
    return msgspec.json.decode(said.content, type=kind)


def _of_the_same(claims: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    """What the userinfo endpoint adds, if it speaks of the same person (Core, 5.3.2)."""
    if said.get("sub") != claims["sub"]:
        raise InvalidClaimError("sub")
    return {name: said[name] for name in ("email", "email_verified", "name") if name in said}


def _age_s(kept: tuple[float, object]) -> float:
    return time.monotonic() - kept[0]


def _refused(reason: str, error: Exception) -> SignInRefusedError:
    _note(
        type(error).__name__,
        code=str(getattr(error, "error", "")),
        claim=str(getattr(error, "claim", "")),
    )
    return SignInRefusedError(reason)


def _note(why: str, *, code: str, claim: str = "") -> None:
    # Not the error's own words: a provider may put anything into them, the token too.
    known = code if ERROR_CODE.fullmatch(code) else ""
    log.warning("identity_refused", why=why, code=known, claim=claim)
