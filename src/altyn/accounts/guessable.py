"""Which passwords are among the first that anybody would try.

By rules and some hundreds of words, not by a list of millions: what is long enough to be taken at
all and stands near the top of such a list is nearly always a common word or a run of keys with
something in front or behind. What is only weak (a quotation, a street) is not known here.
"""

import re
from collections.abc import Collection
from collections.abc import Set as AbstractSet
from functools import cache
from pathlib import Path

WORDS = Path(__file__).parent / "common.txt"
DIFFERENT_MIN = 4
RUN_MIN = 3
"""How many neighbours on the keyboard make a run: `qwe`, `123`."""

DIGITS_MAX = 15
"""Digits alone, up to so many, are a date, a telephone number or a row of keys."""

ODD_SIGNS_MAX = 3
"""How many signs beside the runs do not make it a better one: `qwertyuiop1!`."""

AROUND_MAX = 11
"""How many digits and signs around a word do not make it a better one: a telephone number."""

NAME_MIN = 3
ROWS = (
    "12345678901234567890",
    "qwertyuiop[]",
    "asdfghjkl;'",
    "zxcvbnm,./",
    "йцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю",
    "abcdefghijklmnopqrstuvwxyz",
    "абвгдежзийклмнопрстуфхцчшщъыьэюя",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "!qaz@wsx#edc$rfv%tgb^yhn&ujm",
    "!@#$%^&*()",
    "qazwsxedcrfvtgbyhnujm",
    "qweasdzxc",
)
LOOKALIKES = str.maketrans("@4031!5$7ё", "aaoeiisste")
WORD = re.compile(r"[^\W\d_]+")
NO_LETTERS = re.compile(r"[\W\d_]+")
AROUND = re.compile(r"^[\W\d_]+|[\W\d_]+$")
REPEATED_LENGTH_MAX = 7


def is_guessable(password: str, *, known: Collection[str] = ()) -> bool:
    """Whether it would be tried early. *known* are words that anybody knows of its owner: their
    address, the name of this place.
    """
    plain = password.lower()
    words = _common() | {part for text in known for part in _parts(text)}
    return (
        len(set(plain)) < DIFFERENT_MIN
        or (plain.isdecimal() and len(plain) <= DIGITS_MAX)
        or _is_of_runs(plain)
        or _is_repeated(plain)
        or plain in {text.lower() for text in known}
        or any(
            len(plain) - len(core) <= AROUND_MAX and _is_of_words(core, words)
            for core in _cores(plain)
        )
    )


def _is_of_runs(plain: str) -> bool:
    """Whether neighbours on the keyboard or in the alphabet are all of it, but a sign or three."""
    place, odd = 0, 0
    while place < len(plain):
        length = _run_at(plain, place)
        odd += length == 0
        place += length or 1
    return odd <= ODD_SIGNS_MAX


def _run_at(plain: str, start: int) -> int:
    """How long the run is that begins here; 0 for none. One key held down is a run too."""
    length = 0
    for end in range(start + RUN_MIN, len(plain) + 1):
        piece = plain[start:end]
        if len(set(piece)) > 1 and not any(piece in row or piece[::-1] in row for row in ROWS):
            break
        length = end - start
    return length


def _is_repeated(plain: str) -> bool:
    """Whether a piece of it, too short to be a password, stands there again and again."""
    longest = min(len(plain) // 2, REPEATED_LENGTH_MAX)
    return any(
        plain == (plain[:length] * len(plain))[: len(plain)] for length in range(1, longest + 1)
    )


def _cores(plain: str) -> set[str]:
    """The letters in it, also those that are written as digits and signs: `p@ssw0rd`."""
    read = AROUND.sub("", plain).translate(LOOKALIKES)
    return {NO_LETTERS.sub("", text) for text in (plain, read)}


def _is_of_words(core: str, words: AbstractSet[str]) -> bool:
    """Whether it is a known word, the same one again, or two of them."""
    if core in words:
        return True
    return any(core[:cut] in words and core[cut:] in words for cut in range(1, len(core)))


def _parts(text: str) -> set[str]:
    """The words of an address: `anna.petrova@example.com` is four, and `annapetrova`."""
    local = text.lower().partition("@")[0]
    found = {part for part in WORD.findall(text.lower()) if len(part) >= NAME_MIN}
    return found | {NO_LETTERS.sub("", local)} - {""}


@cache
def _common() -> frozenset[str]:
    lines = WORDS.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
