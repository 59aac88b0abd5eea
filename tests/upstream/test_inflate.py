import gzip
import os
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altyn.chat import Fault
from altyn.upstream.inflate import STEP_BYTES_MAX, Inflater


def inflated(*pieces):
    inflater = Inflater()
    given_back = []
    for piece in pieces:
        given_back.append(inflater.feed(piece))
        while inflater.pending:
            given_back.append(inflater.feed(b""))
    assert not inflater.cut
    return b"".join(given_back)


def bare(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKERS = [gzip.compress, zlib.compress, bare]


@pytest.mark.parametrize("pack", PACKERS)
def test_what_was_packed_comes_back(pack):
    body = b'{"text": "' + os.urandom(3000).hex().encode() + b'"}'

    assert inflated(pack(body)) == body


@pytest.mark.parametrize("pack", PACKERS)
def test_an_empty_body_comes_back(pack):
    assert inflated(pack(b"")) == b""


def test_no_body_at_all_is_not_cut():
    assert inflated() == b""


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(0, 400), max_size=5))
@pytest.mark.parametrize("pack", PACKERS)
def test_any_cut_gives_the_same_bytes(pack, data, cuts):
    packed = pack(data)
    edges = [0, *sorted(min(cut, len(packed)) for cut in cuts), len(packed)]

    pieces = [packed[a:b] for a, b in pairwise(edges)]

    assert inflated(*pieces) == data


def test_gzip_members_in_a_row_are_one_body():
    assert inflated(gzip.compress(b"one") + gzip.compress(b"") + gzip.compress(b"two")) == b"onetwo"
    assert inflated(gzip.compress(b"one"), gzip.compress(b"two")) == b"onetwo"


def test_a_large_body_comes_in_steps():
    body = os.urandom(STEP_BYTES_MAX // 64).hex().encode() * 100
    inflater = Inflater()

    first = inflater.feed(gzip.compress(body))

    assert len(first) == STEP_BYTES_MAX
    assert inflater.pending
    assert inflated(gzip.compress(body)) == body


def test_members_that_fill_a_step_lose_nothing():
    member = os.urandom(STEP_BYTES_MAX // 2)

    assert inflated(gzip.compress(member) * 5) == member * 5


def test_a_body_that_is_cut_is_known_to_be():
    inflater = Inflater()

    inflater.feed(gzip.compress(b"hello")[:-1])

    assert inflater.cut


@pytest.mark.parametrize(
    "packed",
    [b"plain", gzip.compress(b"a") + b"junk", gzip.compress(b"hello")[:-8] + b"\0" * 8],
    ids=["plain", "junk_behind", "wrong_checksum"],
)
def test_damage_is_invalid(packed):
    with pytest.raises(Fault) as caught:
        inflated(packed)

    assert caught.value.kind == "invalid"


@pytest.mark.parametrize("pack", PACKERS)
def test_a_bomb_is_refused_after_a_few_steps(pack):
    inflater = Inflater()

    inflater.feed(pack(b"\0" * (64 * STEP_BYTES_MAX)))
    with pytest.raises(Fault) as caught:
        inflater.feed(b"")

    assert caught.value.kind == "invalid"


def test_a_small_body_may_shrink_as_much_as_it_can():
    assert inflated(gzip.compress(b" " * STEP_BYTES_MAX)) == b" " * STEP_BYTES_MAX
