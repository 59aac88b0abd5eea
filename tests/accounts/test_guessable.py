"""Which passwords are refused because anybody would try them early, and which are not."""

import secrets

import pytest

from altyn.accounts.guessable import is_guessable

KNOWN = ("anna.petrova@example.com", "ai.tinyshop.test", "altyn")


@pytest.mark.parametrize(
    "password",
    [
        # a word, with something before, behind or in the place of its letters
        *("password123", "PASSWORD123", "P@$$w0rd2024", "iloveyou123", "Summer2025!", "админ12345"),
        *(
            "Natasha1985",
            "anna89161234567",
            "gfhjkm12345",
            "пароль12345",
            "2024-welcome",
            "trustno1trustno1",
        ),
        # two of them
        *("hellokitty1", "adminadmin", "passwordadmin1"),
        # keys beside each other, the alphabet, digits
        *("1234567890", "9876543210", "йцукенгшщз", "qwertyuiop1", "1q2w3e4r5t6y", "qwe123asd456"),
        *("zaq12wsx34", "abcdefghij", "89161234567", "17031987170387"),
        # again and again
        *("aaaaaaaaaaaa", "aabbaabbaabb", "abcxabcxabcx", "1111111112"),
        # what anybody knows of them
        *("anna.petrova@example.com", "Petrova1987", "annapetrova!", "tinyshop-2024", "altyn12345"),
    ],
)
def test_what_anybody_would_guess_is_refused(password):
    assert is_guessable(password, known=KNOWN)


@pytest.mark.parametrize(
    "password",
    [
        *("correct horse battery", "another good phrase", "Дом у реки 1987", "my dog ate 3 apples"),
        *("tr0ub4dor&3", "blue-kettle-river-47", "зелёный чайник на крыше", "V7hTq0aZpW"),
        *("Petrova's green kettle", "may 48-93-27-61-05-8"),
    ],
)
def test_what_takes_longer_is_taken(password):
    assert not is_guessable(password, known=KNOWN)


def test_what_is_made_by_chance_is_taken():
    made = [secrets.token_urlsafe(9) for _ in range(500)]

    assert [password for password in made if is_guessable(password, known=KNOWN)] == []


def test_nobody_is_known_by_an_empty_address():
    assert not is_guessable("V7hTq0aZpW", known=("", "@"))


def test_the_longest_password_is_judged_at_once():
    assert not is_guessable("V7hTq0aZpW" * 25 + "kettle")
