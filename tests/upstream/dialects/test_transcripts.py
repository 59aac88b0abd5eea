"""What every transcript is held to, whatever its dialect."""

import importlib
import json
from pathlib import Path

import pytest
from transcript import Transcript, play, split

TRANSCRIPTS: list[Transcript] = [
    transcript
    for path in sorted(Path(__file__).parent.glob("*_transcripts.py"))
    if not path.name.startswith("test_")
    for transcript in importlib.import_module(path.stem).TRANSCRIPTS
]
STREAMED = [transcript for transcript in TRANSCRIPTS if transcript.streams]
BY_NAME = {(transcript.dialect, transcript.name): transcript for transcript in TRANSCRIPTS}


LEAST = {"openai-chat": 60, "openai-responses": 50}


def titles(transcripts):
    return {"argvalues": transcripts, "ids": [f"{t.dialect}: {t.name}" for t in transcripts]}


def test_no_two_transcripts_have_the_same_name():
    assert len(BY_NAME) == len(TRANSCRIPTS)


@pytest.mark.parametrize(("dialect", "least"), LEAST.items())
def test_every_dialect_has_its_transcripts(dialect, least):
    assert sum(transcript.dialect == dialect for transcript in TRANSCRIPTS) >= least


@pytest.mark.parametrize("transcript", **titles([t for t in TRANSCRIPTS if t.sent is not None]))
def test_the_upstream_gets_what_is_written(transcript):
    request = play(transcript).request

    assert json.loads(request.body) == transcript.sent
    assert transcript.path in (None, request.path)
    assert transcript.headers in (None, dict(request.headers))


@pytest.mark.parametrize("transcript", **titles(TRANSCRIPTS))
def test_the_caller_hears_what_was_said(transcript):
    played = play(transcript)

    fault = played.fault and played.fault.kind
    assert fault == transcript.fault, played.fault
    assert played.said == list(transcript.said)
    assert played.usage == transcript.usage


@pytest.mark.parametrize("transcript", **titles([t for t in TRANSCRIPTS if t.fault is None]))
def test_the_first_finish_reason_and_the_delivered_bytes_are_known(transcript):
    played = play(transcript)

    assert played.finish_reason == transcript.said[0]["finish_reason"]
    assert played.delivered_bytes == sum(map(spoken_bytes, transcript.said))


@pytest.mark.parametrize("transcript", **titles(STREAMED))
def test_a_stream_byte_by_byte_says_the_same(transcript):
    back = transcript.back

    bytewise = play(transcript, [back[i : i + 1] for i in range(len(back))])

    fault = bytewise.fault and bytewise.fault.kind
    assert fault == transcript.fault
    assert bytewise.said == list(transcript.said)
    assert bytewise.usage == transcript.usage


@pytest.mark.parametrize("transcript", **titles(STREAMED))
def test_a_stream_cut_anywhere_says_the_same(transcript):
    # A reader that gets the same events from the cut stream has no way to say something else.
    back = transcript.back
    whole = split([back])

    for at in range(1, len(back)):
        assert split([back[:at], back[at:]]) == whole


@pytest.mark.parametrize("transcript", **titles([t for t in TRANSCRIPTS if t.same_as]))
def test_a_stream_folded_together_equals_the_whole_answer(transcript):
    whole = play(BY_NAME[transcript.dialect, transcript.same_as])
    streamed = play(transcript)

    assert streamed.said == whole.said
    assert streamed.usage == whole.usage
    assert streamed.delivered_bytes == whole.delivered_bytes


def spoken_bytes(choice):
    """UTF-8 bytes of text, reasoning, refusal and tool arguments."""
    message = choice["message"]
    texts = [message.get(name) or "" for name in ("content", "reasoning", "refusal")]
    texts += [call["function"]["arguments"] for call in message.get("tool_calls", ())]
    return len("".join(texts).encode())
