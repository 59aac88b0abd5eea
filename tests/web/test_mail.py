"""Letters, with a mail server: confirmed addresses, forgotten passwords, and who learns what."""

import re

import pytest
from people import PASSWORD, Person, sign_in

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
