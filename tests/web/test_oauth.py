"""Coming in through an identity provider, over real HTTP, and all the ways to be somebody else."""

import base64
import gzip
import hashlib
import hmac
import json
import re
import time
from urllib.parse import urlsplit

import pytest
from browser import NARROW, assert_accessible, assert_fits, assert_russian
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from msgspec import structs
from people import HASHED, PASSWORD, Person, sign_in
from pyotp.totp import TOTP
from structlog.testing import capture_logs
from windows import open_context

from altyn.accounts.second_step import enable
from altyn.accounts.store import add_user, confirm_email
from altyn.web import identity
from altyn.web.ticket import issue_ticket
from fakes.gateway import Gateway
from fakes.oidc_server import CLIENT_ID, CLIENT_SECRET, KEY, FakeProvider, query_of
from fakes.scripted_server import free_port


@pytest.fixture(scope="module")
def provider():
    with FakeProvider() as running:
        yield running


@pytest.fixture(scope="module")
def house(provider, tmp_path_factory):
    """A gateway that takes the provider's word."""
    with Gateway(
        tmp_path_factory.mktemp("oauth") / "home",
        port=str(free_port()),
        oidc_issuer=provider.url,
        oidc_client_id=CLIENT_ID,
        oidc_client_secret=CLIENT_SECRET,
        oidc_name="Tinypass",
        support_contact="help@shop.example",
    ) as running:
        yield running


@pytest.fixture
def idp(provider, house):
    """The provider as it should be, which the gateway knows nothing of yet; nobody is here."""
    provider.reset()
    house.app.cabinet.forget_rates()
    known = house.app.cabinet.shop.identity
    known._discovery = known._keys = None
    house.write(forget_everybody)
    return provider


@pytest.fixture
def visitor(house, idp):
    with Person(house) as person:
        yield person


async def forget_everybody(tx):
    for table in (
        "identities",
        "sessions",
        "tickets",
        "recovery_codes",
        "letters",
        "consents",
        "users",
    ):
        await tx.execute(f"DELETE FROM {table}")


def begin(person, path="/oauth/start"):
    """Where the browser is sent."""
    answer = person.get(path)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def local(address):
    url = urlsplit(address)
    return f"{url.path}?{url.query}"


def travel(person, idp, path="/oauth/start"):
    """There and back."""
    return person.get(local(idp.press_yes(begin(person, path))))


def users(house):
    return [tuple(row) for row in house.read("SELECT email, name, email_confirmed_at FROM users")]


def add(house, email="anna@example.test", *, confirmed=False, **given):
    async def work(tx):
        user_id = await add_user(tx, email, **given)
        if confirmed:
            await confirm_email(tx, user_id, email=email)
        return user_id

    return house.write(work)


def nobody_came(house, person, answer, said):
    return (
        answer.status_code in {403, 503}
        and said in answer.text
        and person.session is None
        and person.get("/app").status_code == 303
        and users(house) == []
    )


# The way -----------------------------------------------------------------------------------------


def test_the_button_is_there_only_where_a_provider_is_set(visitor, stranger):
    for path in ("/login?next=/app/keys", "/signup"):
        assert "Sign in through Tinypass" in visitor.get(path).text
        assert "/oauth" not in stranger.get(path).text
    assert 'href="/oauth/start?next=/app/keys"' in visitor.get("/login?next=/app/keys").text
    assert stranger.get("/oauth/start").status_code == 404
    assert stranger.get("/oauth/callback?code=1&state=2").status_code == 404


def test_whoever_comes_first_has_an_account_and_is_where_they_wanted(house, idp, visitor):
    answer = travel(visitor, idp, "/oauth/start?next=/app/keys")

    assert answer.headers["location"] == "/app/keys"
    assert visitor.get("/app").status_code == 200
    ((email, name, confirmed_at),) = users(house)
    assert (email, name) == ("anna@example.test", "Anna")
    assert confirmed_at is not None


def test_what_is_asked_of_the_provider_is_bound_to_this_browser(idp, visitor):
    asked, again = query_of(begin(visitor)), query_of(begin(visitor))

    assert asked["response_type"] == "code"
    assert asked["code_challenge_method"] == "S256"
    assert asked["redirect_uri"] == f"{visitor.gateway.url}/oauth/callback"
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name]) >= 43
        assert asked[name] != again[name]


def test_somebody_stays_who_they_are_whatever_their_address_becomes(house, idp, visitor):
    travel(visitor, idp)
    idp.person |= {"email": "new@example.test", "email_verified": False}
    with Person(house) as elsewhere:
        answer = travel(elsewhere, idp)

    assert answer.headers["location"] == "/app"
    assert [email for email, *_ in users(house)] == ["anna@example.test"]


@pytest.mark.parametrize("place", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_the_way_leads_nowhere_else(idp, visitor, place):
    assert travel(visitor, idp, f"/oauth/start?next={place}").headers["location"] == "/app"


def test_the_session_is_one_as_with_a_password(house, idp, visitor):
    back = visitor.get(local(idp.press_yes(begin(visitor))))
    cookies = back.headers.get_list("set-cookie")

    (session,) = [line for line in cookies if line.startswith("altyn_session=")]
    assert "HttpOnly" in session
    assert "SameSite=lax" in session
    assert visitor.post("/logout").headers["location"] == "/login"
    assert visitor.get("/app").status_code == 303


def test_behind_tls_the_way_is_bound_to_this_host(house, idp, visitor, monkeypatch):
    shop = house.app.cabinet.shop
    settings = structs.replace(shop.settings, public_url="https://ai.example.test")
    monkeypatch.setattr(house.app.cabinet, "shop", structs.replace(shop, settings=settings))

    cookie = visitor.get("/oauth/start").headers["set-cookie"]

    assert cookie.startswith("__Host-altyn_oauth=")
    assert "Secure" in cookie


def test_an_address_that_only_userinfo_tells_is_read_there(house, idp, visitor):
    idp.claims = {"email": None, "email_verified": None}
    idp.userinfo = dict(idp.person)

    assert travel(visitor, idp).status_code == 303
    assert [email for email, *_ in users(house)] == ["anna@example.test"]


# Whose account -----------------------------------------------------------------------------------


@pytest.mark.parametrize("verified", [False, None, "false", "yes", 1.5])
def test_an_address_that_is_not_confirmed_opens_and_makes_nothing(house, idp, visitor, verified):
    idp.person["email_verified"] = verified

    assert nobody_came(house, visitor, travel(visitor, idp), "has not confirmed your e-mail")


def test_a_confirmed_account_of_the_address_is_connected_and_its_owner_told(house, idp, visitor):
    user_id = add(house, password_hash=HASHED, confirmed=True)

    answer = travel(visitor, idp)

    assert answer.headers["location"] == "/app"
    ((connected,),) = house.read("SELECT user_id FROM identities")
    assert connected == user_id
    ((recipient, body),) = house.read("SELECT recipient, body FROM letters")
    assert recipient == "anna@example.test"
    assert "Tinypass" in body


def test_an_address_is_the_same_whatever_its_letters(house, idp, visitor):
    add(house, password_hash=HASHED, confirmed=True)
    idp.person["email"] = " Anna@Example.TEST"

    assert travel(visitor, idp).headers["location"] == "/app"
    assert len(users(house)) == 1


@pytest.mark.parametrize("email", ["anna", "a b@example.test", "a\0@example.test", "a@b@c", ""])
def test_what_is_no_address_makes_nobody(house, idp, visitor, email):
    idp.person["email"] = email

    assert nobody_came(house, visitor, travel(visitor, idp), "has not confirmed your e-mail")


def test_a_name_that_cannot_be_stored_is_left_out(house, idp, visitor):
    idp.person["name"] = "Anna\0"

    assert travel(visitor, idp).status_code == 303
    assert [name for _, name, _ in users(house)] == [None]


def test_an_account_without_a_password_is_its_owners(house, idp, visitor):
    add(house)

    assert travel(visitor, idp).headers["location"] == "/app"


@pytest.mark.parametrize(
    "given", [{}, {"confirmed": True, "operator_role": "owner"}], ids=["unconfirmed", "owner"]
)
def test_an_account_that_may_be_somebody_elses_wants_its_password_once(house, idp, visitor, given):
    add(house, password_hash=HASHED, **given)

    asked = travel(visitor, idp, "/oauth/start?next=/app/keys")
    form = {"stage": re.search(r'name="stage" value="([^"]+)"', asked.text)[1]}
    wrong = visitor.post("/oauth/connect", {**form, "password": "a guess at it"})
    early = visitor.get("/app")
    right = visitor.post("/oauth/connect", {**form, "password": PASSWORD})
    with Person(house) as elsewhere:
        again = travel(elsewhere, idp)

    assert "Its password connects it with Tinypass" in asked.text
    assert (wrong.status_code, early.status_code) == (422, 303)
    assert right.headers["location"] == "/app/keys"
    assert again.headers["location"] == "/app"


@pytest.mark.parametrize("stage", ["", "made-up", "AAAA"])
def test_nobody_is_introduced_by_saying_so(house, idp, visitor, stage):
    add(house, password_hash=HASHED)

    answer = visitor.post("/oauth/connect", {"stage": stage, "password": PASSWORD})

    assert (answer.status_code, visitor.session) == (403, None)


def test_the_passwords_of_others_cannot_be_tried_without_end(house, idp, visitor):
    add(house, password_hash=HASHED)
    stage = re.search(r'name="stage" value="([^"]+)"', travel(visitor, idp).text)[1]

    tries = [
        visitor.post("/oauth/connect", {"stage": stage, "password": f"guess {number}"}).status_code
        for number in range(7)
    ]

    assert tries == [422] * 6 + [429]


def test_the_second_step_is_asked_for_here_too(house, idp, visitor):
    travel(visitor, idp)
    visitor.post("/logout")
    ((user_id,),) = house.read("SELECT id FROM users")
    secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    house.write(lambda tx: enable(tx, house.seal, user_id, secret=secret, step=0))

    asked = travel(visitor, idp, "/oauth/start?next=/app/keys")
    half = re.search(r'name="half" value="([^"]+)"', asked.text)[1]
    before = visitor.get("/app")
    done = visitor.post("/login/code", {"half": half, "code": TOTP(secret).now()})

    assert before.status_code == 303
    assert done.headers["location"] == "/app/keys"


def test_a_closed_account_is_forgotten_here_too(house, idp, visitor):
    travel(visitor, idp)
    house.write(lambda tx: tx.execute("UPDATE users SET password_hash = $1", HASHED))
    closed = visitor.post("/app/settings/close", {"old_password": PASSWORD})
    with Person(house) as again:
        answer = travel(again, idp)

    assert closed.headers["location"] == "/"
    assert answer.headers["location"] == "/app"
    assert len(users(house)) == 2


# Who may sign up ---------------------------------------------------------------------------------


@pytest.fixture
def policy(house, monkeypatch):
    shop = house.app.cabinet.shop

    def choose(name):
        settings = structs.replace(shop.settings, sign_up=name)
        monkeypatch.setattr(house.app.cabinet, "shop", structs.replace(shop, settings=settings))

    return choose


@pytest.mark.parametrize(("name", "said"), [("closed", "not made now"), ("invite", "invitation")])
def test_a_new_account_needs_what_a_new_account_needs(house, idp, visitor, policy, name, said):
    policy(name)

    assert nobody_came(house, visitor, travel(visitor, idp), said)


def test_an_invitation_lets_one_person_in(house, idp, visitor, policy):
    policy("invite")
    secret = house.write(lambda tx: issue_ticket(tx, "invite"))
    shown = visitor.get(f"/signup?t={secret}").text
    first = travel(visitor, idp, f"/oauth/start?t={secret}")
    idp.person |= {"sub": "boris-1", "email": "boris@example.test"}
    with Person(house) as second:
        again = travel(second, idp, f"/oauth/start?t={secret}")

    assert f"/oauth/start?t={secret}" in shown
    assert first.headers["location"] == "/app"
    assert again.status_code == 403
    assert len(users(house)) == 1


def test_who_has_an_account_comes_in_though_the_house_is_closed(house, idp, visitor, policy):
    add(house, password_hash=HASHED, confirmed=True)
    policy("closed")

    assert travel(visitor, idp).headers["location"] == "/app"


# What a new account agrees to ---------------------------------------------------------------------

TERMS = "https://shop.example/terms"
AGREED = {"agree_terms": TERMS}


@pytest.fixture
def terms(house, monkeypatch):
    """The operator has terms; what the policy of signing up is may be chosen."""
    shop = house.app.cabinet.shop

    def choose(sign_up="open"):
        settings = structs.replace(shop.settings, terms_url=TERMS, sign_up=sign_up)
        monkeypatch.setattr(house.app.cabinet, "shop", structs.replace(shop, settings=settings))

    choose()
    return choose


def kept(house):
    return [tuple(row) for row in house.read("SELECT document, url FROM consents")]


def stage_in(answer):
    return {"stage": re.search(r'name="stage" value="([^"]+)"', answer.text)[1]}


def test_a_new_account_is_made_only_once_it_is_agreed_to(house, idp, visitor, terms):
    asked = travel(visitor, idp, "/oauth/start?next=/app/keys")
    refused = visitor.post("/oauth/agree", stage_in(asked))
    early = users(house)
    done = visitor.post("/oauth/agree", {**stage_in(refused), **AGREED})

    assert (asked.status_code, refused.status_code, early) == (200, 422, [])
    assert f'href="{TERMS}"' in asked.text
    assert " checked" not in asked.text
    assert "An account needs your agreement to this." in refused.text
    assert done.headers["location"] == "/app/keys"
    assert [email for email, *_ in users(house)] == ["anna@example.test"]
    assert kept(house) == [("terms", TERMS)]


def test_it_is_asked_once_and_never_of_an_account_that_is_there(house, idp, visitor, terms):
    visitor.post("/oauth/agree", {**stage_in(travel(visitor, idp)), **AGREED})
    add(house, "boris@example.test", password_hash=HASHED, confirmed=True)
    with Person(house) as again, Person(house) as boris:
        known = travel(again, idp)
        idp.person |= {"sub": "boris-1", "email": "boris@example.test"}
        connected = travel(boris, idp)

    assert known.headers["location"] == connected.headers["location"] == "/app"
    assert len(kept(house)) == 1


def test_what_was_agreed_to_makes_one_account_and_opens_it_once(house, idp, visitor, terms):
    form = {**stage_in(travel(visitor, idp)), **AGREED}
    visitor.post("/oauth/agree", form)
    with Person(house) as thief:
        again = thief.post("/oauth/agree", form)

        assert (again.status_code, thief.session) == (403, None)
    assert len(users(house)) == 1


@pytest.mark.parametrize("stage", ["", "made-up", "AAAA"])
def test_nobody_agrees_without_having_been_there(house, idp, visitor, terms, stage):
    answer = visitor.post("/oauth/agree", {"stage": stage, **AGREED})

    assert (answer.status_code, visitor.session, users(house)) == (403, None, [])


def test_a_closed_house_asks_for_no_consent(house, idp, visitor, terms):
    terms("closed")

    assert nobody_came(house, visitor, travel(visitor, idp), "not made now")


def test_an_invitation_is_used_by_agreeing_and_not_by_looking(house, idp, visitor, terms):
    terms("invite")
    secret = house.write(lambda tx: issue_ticket(tx, "invite"))
    first = stage_in(travel(visitor, idp, f"/oauth/start?t={secret}"))
    idp.person |= {"sub": "boris-1", "email": "boris@example.test"}
    with Person(house) as boris:
        second = stage_in(travel(boris, idp, f"/oauth/start?t={secret}"))
        in_time = boris.post("/oauth/agree", {**second, **AGREED})
    late = visitor.post("/oauth/agree", {**first, **AGREED})

    assert in_time.headers["location"] == "/app"
    assert (late.status_code, visitor.session) == (403, None)
    assert [email for email, *_ in users(house)] == ["boris@example.test"]


def test_the_page_that_asks_for_consent_reads_well(house, idp, browser, terms):
    with Person(house, language="ru") as visitor:
        context = open_context(browser, visitor, viewport=NARROW, color_scheme="dark")
        page = context.new_page()
        page.goto(f"{house.url}/login")
        page.get_by_role("link", name="Войти через Tinypass").click()
        page.get_by_role("button", name="Yes, it is me").click()
        page.get_by_role("button", name="Создать учётную запись").click()
        page.get_by_role("alert").wait_for()

        assert_accessible(page)
        assert_fits(page)
        assert_russian(page, allowed=frozenset({"Tinypass"}))
        page.get_by_role("checkbox", name="Принимаю условия использования").check()
        page.get_by_role("button", name="Создать учётную запись").click()
        page.wait_for_url("**/app")
        context.close()


# In the settings ---------------------------------------------------------------------------------


def wait(house, person, minutes):
    """Let the sign-in be so long ago."""
    house.write(
        lambda tx: tx.execute("UPDATE sessions SET created_at = created_at - $1", minutes * 60_000)
    )


def test_a_new_sign_in_is_the_proof_of_whoever_has_no_password(house, idp, visitor):
    travel(visitor, idp)
    shown = visitor.get("/app/settings/password").text
    wait(house, visitor, 11)
    stale = visitor.post("/app/settings/password", {"password": PASSWORD})
    travel(visitor, idp, "/oauth/start?next=/app/settings/password")
    fresh = visitor.post("/app/settings/password", {"password": PASSWORD})
    with Person(house) as elsewhere:
        by_password = elsewhere.log_in("anna@example.test")

    assert "old_password" not in shown
    assert stale.status_code == 422
    assert "sign in once more" in stale.text
    assert fresh.headers["location"] == "/app/settings"
    assert by_password.headers["location"] == "/app"


@pytest.mark.parametrize(
    "path", ["/app/settings/password", "/app/settings/email", "/app/settings/close"]
)
def test_no_old_sign_in_opens_what_wants_a_proof(house, idp, visitor, path):
    travel(visitor, idp)
    wait(house, visitor, 11)
    form = {"email": "new@example.test", "password": PASSWORD, "old_password": ""}

    answer = visitor.post(path, form)

    assert answer.status_code == 422
    assert "/oauth/start?next=/app/settings" in answer.text
    assert [email for email, *_ in users(house)] == ["anna@example.test"]


def test_the_provider_is_disconnected_by_whoever_has_another_way_in(house, idp, visitor):
    add(house, password_hash=HASHED, confirmed=True)
    travel(visitor, idp)
    connected = visitor.get("/app/settings").text
    wrong = visitor.post("/app/settings/provider", {"old_password": "a guess at it"})
    done = visitor.post("/app/settings/provider", {"old_password": PASSWORD})

    assert "Disconnect…" in connected
    assert (wrong.status_code, done.status_code) == (422, 303)
    assert house.read("SELECT COUNT(*) FROM identities")[0][0] == 0
    assert "Disconnect…" not in visitor.get("/app/settings").text


def test_nobody_locks_themselves_out(house, idp, visitor):
    travel(visitor, idp)

    answer = visitor.post("/app/settings/provider")

    assert answer.status_code == 422
    assert "Choose a password first" in answer.text
    assert house.read("SELECT COUNT(*) FROM identities")[0][0] == 1


# Attacks on the way ------------------------------------------------------------------------------


def test_a_way_back_that_this_browser_did_not_begin_leads_nowhere(house, idp, visitor):
    """Else a link would sign its reader in as whoever made it."""
    with Person(house) as attacker:
        back = local(idp.press_yes(begin(attacker)))
    without = visitor.get(back)
    begin(visitor)
    with_another = visitor.get(back)

    assert nobody_came(house, visitor, without, "begun in another place")
    assert nobody_came(house, visitor, with_another, "begun in another place")


@pytest.mark.parametrize("state", ["", "wrong", "é"])
def test_a_wrong_state_ends_the_way(house, idp, visitor, state):
    back = query_of(idp.press_yes(begin(visitor)))

    answer = visitor.client.get("/oauth/callback", params={"code": back["code"], "state": state})

    assert nobody_came(house, visitor, answer, "begun in another place")
    assert "/token" not in idp.asked


def test_a_code_of_another_way_is_worth_nothing(house, idp, visitor):
    """A code that was stolen from a redirect: without its verifier the provider refuses it."""
    with Person(house) as victim:
        stolen = query_of(idp.press_yes(begin(victim)))["code"]
    own = query_of(begin(visitor))

    answer = visitor.client.get("/oauth/callback", params={"code": stolen, "state": own["state"]})

    assert nobody_came(house, visitor, answer, "could not be verified")


@pytest.mark.parametrize("takes_codes_again", [False, True])
def test_a_way_back_that_is_walked_again_leads_nowhere(house, idp, visitor, takes_codes_again):
    idp.takes_codes_again = takes_codes_again
    back = local(idp.press_yes(begin(visitor)))
    cookie = visitor.client.cookies["altyn_oauth"]
    assert visitor.get(back).status_code == 303
    with Person(house) as thief:
        thief.client.cookies.set("altyn_oauth", cookie)

        answer = thief.get(back)

        assert (answer.status_code, thief.session) == (403, None)
    assert "altyn_oauth" not in visitor.client.cookies


def test_a_way_that_took_too_long_ends(house, idp, visitor, monkeypatch):
    back = local(idp.press_yes(begin(visitor)))
    monkeypatch.setattr("altyn.web.half_way.LASTS_MS", 0)

    assert nobody_came(house, visitor, visitor.get(back), "too long ago")


def test_whoever_says_no_there_is_told_so_here_and_still_on_the_way(house, idp, visitor):
    state = query_of(begin(visitor, "/oauth/start?next=/app/keys"))["state"]

    with capture_logs() as logs:
        answer = visitor.get(f"/oauth/callback?error=access_denied&state={state}")

    assert nobody_came(house, visitor, answer, "did not let you in")
    assert 'name="next" value="/app/keys"' in answer.text
    assert [(entry["why"], entry["code"]) for entry in logs] == [("declined", "access_denied")]


# Attacks on the token ----------------------------------------------------------------------------


OTHER = RSAKey.generate_key(2048, {"kid": KEY.kid})
"""Another key, which says that it is the provider's."""


def written(header, claims, sign=lambda _: b""):
    """A token as an attacker writes it, with no library to object."""
    parts = [json.dumps({"kid": KEY.kid, **header}).encode(), json.dumps(claims).encode()]
    text = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    return f"{text.decode()}.{base64.urlsafe_b64encode(sign(text)).rstrip(b'=').decode()}"


def unsigned(claims):
    return written({"alg": "none"}, claims)


def by_hmac(claims):
    secret = KEY.as_pem(private=False)
    return written({"alg": "HS256"}, claims, lambda text: hmac.digest(secret, text, hashlib.sha256))


def by_another(claims):
    return jwt.encode({"alg": "RS256", "kid": KEY.kid}, claims, OTHER, algorithms=["RS256"])


def by_a_key_in_the_head(claims):
    header = {"alg": "RS256", "kid": KEY.kid, "jwk": OTHER.as_dict(private=False)}
    return written(header, claims, lambda text: OTHER.private_key.sign(text, PKCS1v15(), SHA256()))


def cut(claims):
    return written({"alg": "RS256"}, claims)


FORGERIES = {
    "no signature": unsigned,
    "HMAC by the public key": by_hmac,
    "another key of the same name": by_another,
    "a key that the token brings": by_a_key_in_the_head,
    "a signature cut off": cut,
    "no token": lambda _: "",
    "no JWT": lambda _: "{}",
}
WRONG = {
    "for another": {"aud": "somebody-else"},
    "for another too, and nobody said for whom": {"aud": [CLIENT_ID, "somebody-else"]},
    "asked for by another": {"aud": [CLIENT_ID, "other"], "azp": "other"},
    "of another issuer": {"iss": "https://evil.example"},
    "of an issuer that begins alike": {"iss": "http://127.0.0.1"},
    "expired": {"exp": 1_600_000_000},
    "for ever": {"exp": None},
    "of the future": {"iat": 4_000_000_000},
    "not yet": {"nbf": 4_000_000_000},
    "of another sign-in": {"nonce": "another"},
    "of no sign-in": {"nonce": None},
    "of nobody": {"sub": None},
    "of an empty somebody": {"sub": ""},
    "of no text": {"sub": 5},
    "of what cannot be stored": {"sub": "a\0b"},
    "of an endless somebody": {"sub": "x" * 300},
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_token_that_the_provider_did_not_sign_is_refused(house, idp, visitor, name):
    idp.forge = FORGERIES[name]

    with capture_logs() as logs:
        answer = travel(visitor, idp)

    assert nobody_came(house, visitor, answer, "could not be verified")
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == [
        "identity_refused"
    ]


@pytest.mark.parametrize("name", WRONG)
def test_a_token_with_a_wrong_claim_is_refused(house, idp, visitor, name):
    idp.claims = WRONG[name]

    assert nobody_came(house, visitor, travel(visitor, idp), "could not be verified")


def test_what_userinfo_says_of_somebody_else_is_not_taken(house, idp, visitor):
    idp.claims = {"email": None}
    idp.userinfo = {"sub": "boris-1", "email": "anna@example.test", "email_verified": True}

    assert nobody_came(house, visitor, travel(visitor, idp), "could not be verified")


def test_no_token_code_or_secret_is_logged(house, idp, visitor):
    seen = []
    idp.forge = lambda claims: seen.append(idp.sign(claims)) or seen[-1]
    idp.claims = {"nonce": "another"}

    with capture_logs() as logs:
        back = idp.press_yes(begin(visitor))
        visitor.get(local(back))

    told = repr(logs)
    secrets = [seen[0], idp.access_token, CLIENT_SECRET, *query_of(back).values()][:-1]
    assert [secret for secret in secrets if secret in told] == []
    assert "nonce" in told


# The provider itself -----------------------------------------------------------------------------


def test_a_new_key_of_the_provider_is_looked_up_and_a_forged_one_is_not(
    house, idp, visitor, monkeypatch
):
    travel(visitor, idp)
    new = RSAKey.generate_key(2048, {"kid": "of-next-week"})
    idp.forge = lambda claims: jwt.encode(
        {"alg": "RS256", "kid": new.kid}, claims, new, algorithms=["RS256"]
    )
    forged = [travel(visitor, idp).status_code for _ in range(3)]
    asked_by_forger = idp.asked.count("/jwks")

    idp.keys = KeySet([KEY, new])
    monkeypatch.setattr(identity, "ASKED_AGAIN_S", -1.0)
    renewed = travel(visitor, idp)

    assert forged == [403] * 3
    assert asked_by_forger == 1
    assert renewed.headers["location"] == "/app"


HUGE = b" " * (300 * 1024)
BROKEN = {
    "silent": (503, b""),
    "no JSON": (200, b"<html>"),
    "another form": (200, b"[]"),
    "endless": (200, HUGE),
    "packed": (200, gzip.compress(b"{}"), "application/json"),
    "elsewhere": (302, b""),
}


WELL_KNOWN = "/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        *((WELL_KNOWN, name) for name in BROKEN),
        *(
            (path, name)
            for path in ("/jwks", "/token")
            for name in ("silent", "no JSON", "endless")
        ),
    ],
)
def test_a_provider_that_is_broken_lets_nobody_in_and_breaks_nothing(
    house, idp, visitor, path, name
):
    idp.broken[path] = BROKEN[name]
    answer = visitor.get("/oauth/start") if path.startswith("/.") else travel(visitor, idp)

    assert answer.status_code in {403, 503}
    assert "Tinypass" in answer.text
    assert visitor.session is None

    idp.broken.clear()
    assert travel(visitor, idp).headers["location"] == "/app"


@pytest.mark.parametrize(
    "lie",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "ftp://evil.example/token"},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
    ids=lambda lie: next(iter(lie)),
)
def test_a_provider_that_says_it_is_another_is_not_asked(idp, visitor, lie):
    idp.discovery |= lie

    assert visitor.get("/oauth/start").status_code == 503


def test_a_provider_that_does_not_answer_is_not_waited_for(idp, visitor, monkeypatch):
    monkeypatch.setattr(identity, "PATIENCE_S", 0.0)
    began = time.monotonic()

    assert visitor.get("/oauth/start").status_code == 503
    assert time.monotonic() - began < 5


# In a browser ------------------------------------------------------------------------------------


def test_the_whole_trip_in_a_browser(house, idp, open_page):
    with Person(house) as visitor:
        page = open_page(visitor, "/login?next=/app/keys", expected=(idp.url,))
        assert_accessible(page)

        page.get_by_role("link", name="Sign in through Tinypass").click()
        page.get_by_role("button", name="Yes, it is me").click()
        page.wait_for_url("**/app/keys")
        page.reload()

        assert page.get_by_role("heading", name="API Keys", level=1).is_visible()
        assert page.evaluate("document.cookie") == ""
        for path in ("/app/settings", "/app/settings/provider"):
            page.goto(house.url + path)
            assert_accessible(page)


def test_the_page_that_wants_the_password_reads_well(house, idp, browser):
    add(house, password_hash=HASHED)
    with Person(house, language="ru") as visitor:
        context = open_context(browser, visitor, viewport=NARROW, color_scheme="dark")
        page = context.new_page()
        page.goto(f"{house.url}/login")
        assert_russian(page, allowed=frozenset({"Tinypass"}))
        page.get_by_role("link", name="Войти через Tinypass").click()
        page.get_by_role("button", name="Yes, it is me").click()

        assert_accessible(page)
        assert_fits(page)
        assert_russian(page, allowed=frozenset({"Tinypass"}))
        page.get_by_label("Пароль").fill(PASSWORD)
        page.get_by_role("button", name="Связать и войти").click()
        page.wait_for_url("**/app")
        context.close()


def test_nobody_else_is_touched(house, idp, visitor):
    with sign_in(house) as neighbour:
        travel(visitor, idp)
        visitor.post("/logout")

        assert neighbour.get("/app").status_code == 200
