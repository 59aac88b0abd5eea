"""Every transcript with a few bytes of it spoilt: a dialect reads it or says `Fault`, never else.

The spoiling is chance from a seed that is the transcript's own name, so each run spoils the same.
"""

import random
import re
from collections.abc import Callable
from contextlib import suppress

import pytest
from test_transcripts import TRANSCRIPTS, titles
from transcript import Transcript

from altyn.chat import Fault
from altyn.upstream.dialects import get_dialect
from altyn.upstream.sse import SseReader

TIMES = 12
STATUSES = (302, 400, 401, 404, 413, 429, 500, 529)
VALUE = re.compile(rb':\s*("(?:[^"\\]|\\.)*"|-?[\d.]+|null|true|false|\[\]|\{\})')
BAD = (
    *(b"\xff", b"\xed\xa0\x80", b"\x00", b"\\", b"\\ud800", b"\xef\xbb\xbf", b'"\xff"'),
    *(b"null", b"true", b"-1", b"1e308", b"9" * 30, b"9" * 5000, b'"x"', b"{", b"}", b'"', b","),
    *(b"[]", b"{}", b"[null]", b"[1]", b"[{}]", b"[[]]", b'{"a":1}', b"[" * 2000),
)


def spoil(data: bytes, chance: random.Random) -> bytes:
    spoilt = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        values = [found.span(1) for found in VALUE.finditer(spoilt)]
        start = chance.randrange(len(spoilt) + 1)
        end = min(start + chance.randrange(30), len(spoilt))
        if values and chance.random() < 0.5:
            start, end = chance.choice(values)
        spoilt[start:end] = chance.choice((*BAD, b"", bytes([chance.randrange(256)])))
    return bytes(spoilt)


def read_stream(transcript: Transcript, data: bytes) -> None:
    reader = get_dialect(transcript.dialect).stream_reader()
    for name, payload in SseReader().feed(data):
        reader.read(name, payload)
        assert reader.usage is None or reader.usage.total_tokens >= 0
        if reader.finished:
            return
    reader.end()


def read_whole(transcript: Transcript, data: bytes) -> None:
    answer = get_dialect(transcript.dialect).read_answer(data)

    answer.choices.decode()


def read_refusal(transcript: Transcript, data: bytes) -> None:
    for status in STATUSES:
        fault = get_dialect(transcript.dialect).read_error(status, {"retry-after": "1"}, data)
        assert len(fault.message) <= 500


READERS: tuple[Callable[[Transcript, bytes], None], ...] = (read_stream, read_whole, read_refusal)


@pytest.mark.parametrize("transcript", **titles(TRANSCRIPTS))
def test_spoilt_bytes_are_read_or_refused(transcript):
    chance = random.Random(transcript.name)
    for _ in range(TIMES):
        data = spoil(transcript.back, chance)
        for read in READERS:
            with suppress(Fault):
                read(transcript, data)


@pytest.mark.parametrize(
    "transcript", **titles([t for t in TRANSCRIPTS if t.streams and not t.fault])
)
def test_a_stream_that_is_cut_anywhere_is_broken_or_has_ended(transcript):
    """Half an event at the end is no event: nothing of it is told."""
    back = transcript.back
    faults = set()
    for end in range(0, len(back), max(1, len(back) // 25)):
        try:
            read_stream(transcript, back[:end])
        except Fault as fault:
            faults.add(fault.kind)

    assert "broken" in faults
    assert faults <= {"broken", "invalid"}
