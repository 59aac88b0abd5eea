"""Somebody at a browser, without the browser: what forms send, and the cookies they come with."""

import re
from itertools import count
from typing import Any, Self

import httpx
from argon2 import PasswordHasher

from altyn.accounts.store import add_user, confirm_email, find_password
from fakes.gateway import Gateway

PASSWORD = "correct horse battery"
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
"""How passwords are kept here: 450 people sign in, and what a guess costs is test_password.py's."""

HASHED = CHEAP.hash(PASSWORD)
NUMBERS = count(1)
TLS = httpx.create_ssl_context()
"""Made once: it reads the certificates of all authorities, for 40 ms."""


class Person:
    """A visitor. `get` and `post` return answers and never follow a redirect by themselves."""

    def __init__(self, gateway: Gateway, *, language: str = "en") -> None:
        self.gateway = gateway
        self.email = ""
        self.user_id = 0
        self.account_id = 0
        self.client = httpx.Client(
            base_url=gateway.url,
            headers={"accept": "text/html", "accept-language": language, "origin": gateway.url},
            timeout=30,
            verify=TLS,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.client.get(path, headers=_named(headers))

    def post(self, path: str, fields: dict[str, Any] | None = None, **headers: str) -> Any:
        return self.client.post(path, data=fields or {}, headers=_named(headers))

    def log_in(self, email: str, password: str = PASSWORD) -> httpx.Response:
        return self.post("/login", {"email": email, "password": password})

    @property
    def session(self) -> str | None:
        return self.client.cookies.get("altyn_session")

    def create_key(self, name: str = "prod", **fields: Any) -> tuple[int, str]:
        """Make a key by its form; its id and its secret."""
        nonce = re.search(r'name="nonce" value="([^"]+)"', self.get("/app/keys/new").text)
        assert nonce is not None
        form = {"nonce": nonce[1], "name": name, "mode": "live", "scopes": SCOPES, **fields}
        answer = self.post("/app/keys", form)
        assert answer.status_code == 200, answer.text
        secret = re.search(r"sk_(?:live|test)_[0-9A-Za-z]{48}", answer.text)
        key_id = re.search(r"/app/keys/(\d+)/test", answer.text)
        assert secret is not None
        assert key_id is not None
        return int(key_id[1]), secret[0]


SCOPES = ["chat", "models", "balance", "usage", "key"]


def sign_in(
    gateway: Gateway, *, language: str = "en", role: Any = None, confirmed: bool = False
) -> Person:
    """A new customer, or somebody of the house, who has signed in; `confirmed` where mail goes."""
    person = Person(gateway, language=language)
    person.email = f"person{next(NUMBERS)}@example.test"
    gateway.write(lambda tx: add_user(tx, person.email, password_hash=HASHED, operator_role=role))
    found = gateway.run(find_password(gateway.app.database, person.email))
    assert found is not None
    person.user_id = found[0]
    ((person.account_id,),) = gateway.read(
        "SELECT account_id FROM users WHERE id = $1", person.user_id
    )
    if confirmed:
        gateway.write(lambda tx: confirm_email(tx, person.user_id, email=person.email))
    assert person.log_in(person.email).status_code == 303
    return person


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
