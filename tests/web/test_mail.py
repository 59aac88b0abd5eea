"""Letters, with a mail server: confirmed addresses, forgotten passwords, and who learns what."""

import re

import pytest
from people import PASSWORD, Person, sign_in

from altyn.accounts.identities import Identity, connect
from altyn.accounts.second_step import enable
from altyn.web.letters import FILE
from fakes.gateway import Gateway
from fakes.smtp_server import FakeSmtp

NEW_PASSWORD = "another good phrase"


@pytest.fixture(scope="module")
def post():
    with FakeSmtp() as server:
        yield server


@pytest.fixture(scope="module")
def house(post, tmp_path_factory):
    """A gateway that sends mail."""
    home = tmp_path_factory.mktemp("mail") / "home"
    with Gateway(home, smtp_url=post.url, mail_from="altyn@example.test") as running:
        yield running


@pytest.fixture
def visitor(house):
    house.app.cabinet.forget_rates()
    with Person(house) as person:
        yield person


def deliver(house):
    house.run(house.app.cabinet.postman.go())


def link_in(text, path):
    found = re.search(rf"http\S+({path}\?t=\S+)", text)
    assert found is not None, text
    return found[1]


def token_in(link):
    return link.partition("t=")[2]


def sign_up(person, email):
    return person.post("/signup", {"email": email, "password": PASSWORD})


def confirm(house, post, person, email):
    deliver(house)
    link = link_in(post.wait_for(email), "/verify")
    return person.post("/verify", {"t": token_in(link)})


def test_an_address_is_confirmed_before_it_signs_in(house, post, visitor):
    answer = sign_up(visitor, "ann@example.test")
    early = visitor.log_in("ann@example.test")
    confirmed = confirm(house, post, visitor, "ann@example.test")

    assert "See your mail" in answer.text
    assert visitor.session is None
    assert early.status_code == 422
    assert confirmed.headers["location"] == "/login"
    assert visitor.log_in("ann@example.test").status_code == 303


def test_looking_at_the_link_confirms_nothing(house, post, visitor):
    sign_up(visitor, "bob@example.test")
    deliver(house)
    link = link_in(post.wait_for("bob@example.test"), "/verify")

    assert visitor.get(link).status_code == 200
    assert visitor.log_in("bob@example.test").status_code == 422


def test_a_stranger_does_not_learn_that_an_address_is_known(house, post, visitor):
    sign_up(visitor, "cleo@example.test")
    confirm(house, post, visitor, "cleo@example.test")

    with Person(house) as stranger:
        known = sign_up(stranger, "cleo@example.test")
        unknown = sign_up(stranger, "dora@example.test")

    assert known.status_code == unknown.status_code == 200
    assert known.text.replace("cleo", "dora").split("req_")[0] == unknown.text.split("req_")[0]
    deliver(house)
    assert "has tried to sign up" in post.wait_for("cleo@example.test")


def test_a_forgotten_password_is_replaced_by_a_letter(house, post, visitor):
    sign_up(visitor, "eva@example.test")
    confirm(house, post, visitor, "eva@example.test")
    visitor.log_in("eva@example.test")

    visitor.post("/reset", {"email": "Eva@example.test"})
    deliver(house)
    link = link_in(post.wait_for("eva@example.test"), "/reset/new")
    shown = visitor.get(link)
    answer = visitor.post("/reset/new", {"t": token_in(link), "password": NEW_PASSWORD})

    assert shown.status_code == 200
    assert answer.headers["location"] == "/login"
    assert visitor.get("/app").status_code == 303
    assert visitor.log_in("eva@example.test").status_code == 422
    assert visitor.log_in("eva@example.test", NEW_PASSWORD).status_code == 303
    assert visitor.get(link).status_code in (303, 404)
    deliver(house)
    assert "If it was not you" in post.wait_for("eva@example.test")


def test_the_answer_to_a_forgotten_password_is_the_same_for_everybody(house, visitor):
    sign_up(visitor, "fay@example.test")

    known = visitor.post("/reset", {"email": "fay@example.test"}).text
    unknown = visitor.post("/reset", {"email": "eve@example.test"}).text

    assert known.replace("fay@", "eve@").split("req_")[0] == unknown.split("req_")[0]


def test_one_address_is_not_flooded_with_letters(visitor):
    statuses = [visitor.post("/reset", {"email": "gus@example.test"}).status_code for _ in range(3)]

    assert statuses == [200, 200, 429]


@pytest.mark.parametrize("path", ["/verify", "/reset/new"])
def test_a_link_of_one_kind_opens_nothing_of_another(house, post, visitor, path):
    email = f"kind{len(path)}@example.test"
    sign_up(visitor, email)
    deliver(house)
    token = token_in(link_in(post.wait_for(email), "/verify"))
    other = "/reset/new" if path == "/verify" else "/setup"

    assert visitor.get(f"{other}?t={token}").status_code == 404


def test_a_letter_that_fails_is_tried_again_and_then_forgotten(house, post, visitor):
    post.refuses = True
    sign_up(visitor, "ivy@example.test")
    deliver(house)
    ((attempts, failure),) = house.read(
        "SELECT attempts, failure FROM letters WHERE recipient = 'ivy@example.test'"
    )
    post.refuses = False
    house.write(lambda tx: tx.execute("UPDATE letters SET due_at = 0"))
    deliver(house)

    assert (attempts, "not now" in failure) == (1, True)
    assert "/verify?t=" in post.wait_for("ivy@example.test")
    assert not house.read("SELECT 1 FROM letters WHERE recipient = 'ivy@example.test'")


def test_a_letter_is_in_the_language_of_whoever_asked(house, post):
    with Person(house, language="ru") as reader:
        sign_up(reader, "ira@example.test")
    deliver(house)

    assert "Откройте эту ссылку" in post.wait_for("ira@example.test")


# Made in advance with the address of somebody else -----------------------------------------------

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def furnish(house, person):
    """A key, a second step and an identity, while the person is signed in; the key's id."""
    key_id, _ = person.create_key()

    async def work(tx):
        await enable(tx, house.seal, person.user_id, secret=SECRET, step=0)
        identity = Identity(issuer="https://id.example", subject=person.email)
        await connect(tx, identity, user_id=person.user_id)

    house.write(work)
    return key_id


def unconfirm(house, person):
    """As it was when no mail server was set: nobody had to confirm anything."""
    house.write(
        lambda tx: tx.execute(
            "UPDATE users SET email_confirmed_at = NULL WHERE id = $1", person.user_id
        )
    )


def reset(house, post, email):
    """What the owner of the mailbox does; the answer and the letter after it."""
    with Person(house) as owner:
        owner.post("/reset", {"email": email})
        deliver(house)
        link = link_in(post.wait_for(email), "/reset/new")
        answer = owner.post("/reset/new", {"t": token_in(link), "password": NEW_PASSWORD})
        shown = owner.get(answer.headers["location"]).text
        entered = owner.log_in(email, NEW_PASSWORD)
    deliver(house)
    return shown, entered, post.wait_for(email)


def left(house, person, key_id):
    """What still opens something: keys, second steps, recovery codes, identities, sessions."""
    counts = house.read(
        "SELECT (SELECT COUNT(*) FROM keys WHERE id = $2 AND revoked_at IS NULL),"
        " (SELECT COUNT(*) FROM users WHERE id = $1 AND totp_sealed IS NOT NULL),"
        " (SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1),"
        " (SELECT COUNT(*) FROM identities WHERE user_id = $1)",
        person.user_id,
        key_id,
    )
    return tuple(counts[0])


def test_whoever_owns_the_mailbox_gets_an_account_that_opens_to_nobody_else(house, post, mover):
    key_id = furnish(house, mover)
    unconfirm(house, mover)

    shown, entered, letter = reset(house, post, mover.email)

    assert left(house, mover, key_id) == (0, 0, 0, 0)
    assert mover.get("/app").status_code == 303
    assert entered.headers["location"] == "/app"
    assert "The address had not been confirmed before" in shown
    assert "Nobody had confirmed this address before" in letter


def test_a_confirmed_account_keeps_everything_but_its_sessions(house, post, mover):
    key_id = furnish(house, mover)

    shown, entered, letter = reset(house, post, mover.email)

    assert left(house, mover, key_id) == (1, 1, 10, 1)
    assert mover.get("/app").status_code == 303
    assert "one-time" in entered.text
    assert "Every other session has ended" in shown
    assert "confirmed this address" not in letter


def test_what_the_operator_has_furnished_for_somebody_without_a_password_stays(house, post, mover):
    key_id = furnish(house, mover)
    unconfirm(house, mover)
    house.write(
        lambda tx: tx.execute("UPDATE users SET password_hash = NULL WHERE id = $1", mover.user_id)
    )

    reset(house, post, mover.email)

    assert left(house, mover, key_id)[0] == 1


def test_the_second_step_of_the_house_does_not_fall_with_a_mailbox(house, post, mover):
    key_id = furnish(house, mover)
    unconfirm(house, mover)
    house.write(
        lambda tx: tx.execute(
            "UPDATE users SET operator_role = 'support' WHERE id = $1", mover.user_id
        )
    )

    reset(house, post, mover.email)

    assert left(house, mover, key_id) == (1, 1, 10, 1)


def test_whoever_had_nothing_yet_is_not_frightened(house, post, visitor):
    sign_up(visitor, "joy@example.test")
    deliver(house)
    post.wait_for("joy@example.test")

    shown, entered, letter = reset(house, post, "joy@example.test")

    assert entered.headers["location"] == "/app"
    assert "Every other session has ended" in shown
    assert "confirmed this address" not in letter


# Another address ---------------------------------------------------------------------------------


@pytest.fixture
def mover(house):
    """Somebody with a confirmed address, who is signed in and wants another one."""
    house.app.cabinet.forget_rates()
    with sign_in(house, confirmed=True) as person:
        person.wanted = f"new-{person.email}"
        yield person


def ask_for(person, email, password=PASSWORD):
    form = {"email": email, "old_password": password}
    return person.post("/app/settings/email", form)


def sent_link(house, post, email):
    deliver(house)
    return link_in(post.wait_for(email), "/email")


def open_link(person, link):
    return person.post("/email", {"t": token_in(link)})


def address_of(house, person):
    return house.read("SELECT email FROM users WHERE id = $1", person.user_id)[0][0]


def test_an_address_changes_when_its_new_mailbox_says_so(house, post, mover):
    old = mover.email
    with Person(house) as elsewhere:
        elsewhere.log_in(old)
        asked = ask_for(mover, mover.wanted.upper())
        link = sent_link(house, post, mover.wanted)
        before = address_of(house, mover)
        done = open_link(mover, link)
        elsewhere_after = elsewhere.get("/app").status_code

    assert asked.status_code == 200
    assert before == old
    assert done.headers["location"] == "/app/settings"
    assert (mover.get("/app").status_code, elsewhere_after) == (200, 303)
    assert mover.log_in(old).status_code == 422
    assert mover.log_in(mover.wanted).status_code == 303


def test_the_old_address_is_told_before_and_after(house, post, mover):
    ask_for(mover, mover.wanted)
    deliver(house)
    before = post.wait_for(mover.email)
    open_link(mover, link_in(post.wait_for(mover.wanted), "/email"))
    deliver(house)
    after = post.wait_for(mover.email)

    assert f"is to be moved to {mover.wanted}" in before
    assert "/reset" in before
    assert f"signed in to with {mover.wanted}" in after


def test_looking_at_the_link_changes_nothing_and_using_it_works_once(house, post, mover, visitor):
    old = mover.email
    ask_for(mover, mover.wanted)
    link = sent_link(house, post, mover.wanted)

    shown = visitor.get(link)
    before = address_of(house, mover)
    first, again = open_link(visitor, link), open_link(visitor, link)

    assert mover.wanted in shown.text
    assert before == old
    assert (first.headers["location"], again.status_code) == ("/login", 404)
    assert mover.get("/app").status_code == 303


def test_whoever_finds_the_browser_open_moves_nothing(house, mover):
    answer = ask_for(mover, mover.wanted, "a guess at it")

    assert answer.status_code == 422
    assert "This is not your password" in answer.text
    assert not house.read("SELECT 1 FROM letters WHERE recipient = $1", mover.wanted)


def test_a_taken_address_is_told_to_nobody_but_its_owner(house, post, mover):
    with sign_in(house, confirmed=True) as other:
        taken, free = ask_for(mover, other.email), ask_for(mover, mover.wanted)
        deliver(house)
        letter = post.wait_for(other.email)

        assert (
            taken.text.replace(other.email, mover.wanted).split("req_")[0]
            == (free.text.split("req_")[0])
        )
        assert "to another account" in letter
        assert "?t=" not in letter
        assert address_of(house, other) == other.email
    assert address_of(house, mover) == mover.email


def test_of_two_who_want_the_same_address_the_first_has_it(house, post, mover):
    with sign_in(house, confirmed=True) as other:
        ask_for(mover, mover.wanted)
        link = sent_link(house, post, mover.wanted)
        ask_for(other, mover.wanted)
        open_link(other, sent_link(house, post, mover.wanted))

        late = open_link(mover, link)

        assert address_of(house, other) == mover.wanted
    assert late.status_code == 404
    assert address_of(house, mover) == mover.email


@pytest.mark.parametrize("stops_it", ["a newer one", "a new password", "closing"])
def test_a_link_that_was_sent_before_opens_nothing_after(house, post, mover, stops_it):
    ask_for(mover, mover.wanted)
    link = sent_link(house, post, mover.wanted)

    if stops_it == "a newer one":
        ask_for(mover, f"newer-{mover.wanted}")
    elif stops_it == "a new password":
        form = {"old_password": PASSWORD, "password": NEW_PASSWORD}
        mover.post("/app/settings/password", form)
    else:
        mover.post("/app/settings/close", {"old_password": PASSWORD})

    assert mover.get(link).status_code == 404
    assert open_link(mover, link).status_code == 404
    assert address_of(house, mover) != mover.wanted


def test_a_changed_address_makes_older_letters_worthless(house, post, mover):
    mover.post("/reset", {"email": mover.email})
    deliver(house)
    reset = link_in(post.wait_for(mover.email), "/reset/new")
    ask_for(mover, mover.wanted)
    open_link(mover, sent_link(house, post, mover.wanted))

    assert mover.get(reset).status_code == 404


@pytest.mark.parametrize("path", ["/verify", "/reset/new", "/setup"])
def test_a_link_to_a_new_address_opens_nothing_else(house, post, mover, path):
    ask_for(mover, mover.wanted)
    token = token_in(sent_link(house, post, mover.wanted))

    assert mover.get(f"{path}?t={token}").status_code == 404


def test_a_link_moves_its_own_person_whoever_is_signed_in(house, post, mover):
    ask_for(mover, mover.wanted)
    link = sent_link(house, post, mover.wanted)
    with sign_in(house, confirmed=True) as other:
        open_link(other, link)

        assert address_of(house, other) == other.email
        assert other.get("/app").status_code == 200
    assert address_of(house, mover) == mover.wanted
    assert mover.get("/app").status_code == 303


@pytest.mark.parametrize("email", ["", "anna", "a@b@c"])
def test_what_is_no_address_is_not_written_to(mover, email):
    answer = ask_for(mover, email)

    assert answer.status_code == 422
    assert 'aria-invalid="true"' in answer.text


def test_a_stranger_is_not_flooded_with_links(mover):
    statuses = [ask_for(mover, mover.wanted).status_code for _ in range(3)]

    assert statuses == [200, 200, 429]


# Without a mail server ---------------------------------------------------------------------------


def test_without_a_mail_server_letters_are_a_file_of_the_operators(cabinet, customer, stranger):
    stranger.post("/reset", {"email": customer.email})
    cabinet.run(cabinet.app.cabinet.postman.go())

    path = cabinet.settings.home / FILE
    text = path.read_text(encoding="utf-8")
    assert f"To: {customer.email}" in text
    assert "/reset/new?t=" in text
    assert path.stat().st_mode & 0o077 == 0


# Who may sign up ---------------------------------------------------------------------------------


def test_a_closed_house_takes_nobody(tmp_path):
    with Gateway(tmp_path / "home", sign_up="closed") as house, Person(house) as visitor:
        shown = visitor.get("/signup").text
        answer = sign_up(visitor, "new@example.test")

        assert "not made here now" in shown
        assert answer.status_code == 422
        assert house.read("SELECT COUNT(*) FROM users")[0][0] == 0


def test_an_invitation_lets_one_person_in(tmp_path):
    with Gateway(tmp_path / "home", sign_up="invite") as house:
        with sign_in(house, role="owner") as owner:
            made = owner.post("/admin/users/invite").text
        token = re.search(r"/signup\?t=([\w-]+)", made)[1]
        with Person(house) as first, Person(house) as second:
            bare = sign_up(first, "first@example.test")
            form = {"email": "first@example.test", "password": PASSWORD, "t": token}
            invited = first.post("/signup", form)
            again = second.post("/signup", {**form, "email": "second@example.test"})

    assert "needs an invitation" in bare.text
    assert invited.headers["location"] == "/app"
    assert again.status_code == 422
