"""Events are the same however the bytes are cut; the cases follow WHATWG HTML, 9.2.6."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altyn.chat import Fault
from altyn.upstream.sse import LINE_BYTES_MAX, SseReader

CASES = {
    "one": (b"data: a\n\n", [("", b"a")]),
    "burst": (b"data: a\n\ndata: b\n\ndata: c\n\n", [("", b"a"), ("", b"b"), ("", b"c")]),
    "no_space": (b"data:a\n\n", [("", b"a")]),
    "only_one_space_is_taken": (b"data:  a \n\n", [("", b" a ")]),
    "tab_is_no_space": (b"data:\ta\n\n", [("", b"\ta")]),
    "crlf": (b"data: a\r\n\r\ndata: b\r\n\r\n", [("", b"a"), ("", b"b")]),
    "cr": (b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
    "mixed": (b"data: a\r\ndata: b\rdata: c\n\r\n", [("", b"a\nb\nc")]),
    "lf_then_cr": (b"data: a\n\rdata: b\r\n\n", [("", b"a"), ("", b"b")]),
    "many_lines": (b"data: a\ndata: b\ndata\ndata:\n\n", [("", b"a\nb\n\n")]),
    "yhoo": (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("", b"YHOO\n+2\n10")]),
    "the_specs_empty_ones": (b"data\n\ndata\ndata\n\ndata:", [("", b""), ("", b"\n")]),
    "the_specs_comment": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third\n\n",
        [("", b"first event"), ("", b"second event"), ("", b" third")],
    ),
    "name_before": (b"event: ping\ndata: a\n\n", [("ping", b"a")]),
    "name_after": (b"data: a\nevent: ping\n\n", [("ping", b"a")]),
    "name_without_space": (b"event:ping\ndata: a\n\n", [("ping", b"a")]),
    "last_name_counts": (b"event: a\nevent: b\ndata: x\n\n", [("b", b"x")]),
    "name_taken_back": (b"event: a\nevent\ndata: x\n\n", [("", b"x")]),
    "name_is_utf8": ("event: пинг\ndata: a\n\n".encode(), [("пинг", b"a")]),
    "name_without_data": (b"event: ping\n\ndata: a\n\n", [("", b"a")]),
    "name_does_not_stay": (b"event: ping\ndata: a\n\ndata: b\n\n", [("ping", b"a"), ("", b"b")]),
    "comments": (b":\n\n: hi\n\n:data: no\ndata: a\n: more\n\n", [("", b"a")]),
    "comment_in_an_event": (b"data: a\n: hi\ndata: b\n\n", [("", b"a\nb")]),
    "other_fields": (b"id: 1\nretry: 5\nfoo: x\ndatax: y\ndata : z\ndata: a\n\n", [("", b"a")]),
    "fields_are_lower_case": (b"DATA: x\nData: y\n\n", []),
    "leading_space": (b" data: x\n\ndata: a\n\n", [("", b"a")]),
    "blank_lines": (b"\n\n\ndata: a\n\n\n\n\ndata: b\n\n\n", [("", b"a"), ("", b"b")]),
    "a_third_newline": (b"data: a\n\n\ndata: b\n\n", [("", b"a"), ("", b"b")]),
    "bom": (b"\xef\xbb\xbfdata: a\n\n", [("", b"a")]),
    "only_one_bom": (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [("", b"b")]),
    "bom_inside": (b"data: a\n\n\xef\xbb\xbfdata: b\n\n", [("", b"a")]),
    "bom_and_comment": (b"\xef\xbb\xbf: hi\n\ndata: a\n\n", [("", b"a")]),
    "nul": (b"data: a\0b\n\n", [("", b"a\0b")]),
    "no_blank_line": (b"data: a\n\ndata: b\n", [("", b"a")]),
    "no_line_end": (b"data: a\n\ndata: b", [("", b"a")]),
    "data_inside_data": (b'data: {"x": "data: "}\n\n', [("", b'{"x": "data: "}')]),
    "nothing": (b"", []),
    "anthropic": (
        b'event: message_start\ndata: {"type":"message_start"}     \n\nevent: ping\ndata: {}\n\n',
        [("message_start", b'{"type":"message_start"}     '), ("ping", b"{}")],
    ),
    "named_burst": (
        b"event: a\ndata: 1\n\nevent: b\ndata: 2\n\nevent: c\ndata: 3\n\n",
        [("a", b"1"), ("b", b"2"), ("c", b"3")],
    ),
    "named_burst_with_a_short_and_a_long_event": (
        b"event: a\n\nevent: b\ndata: 2\ndata: 3\n\nevent: c\ndata: 4\n\n",
        [("b", b"2\n3"), ("c", b"4")],
    ),
    "named_burst_without_data": (b"event: a\nid: 1\n\nevent: b\ndata: 2\n\n", [("b", b"2")]),
    "gemini": (b'data: {"a":\r\ndata: 1}\r\n\r\n', [("", b'{"a":\n1}')]),
    "split_character": ("data: привет\n\n".encode(), [("", "привет".encode())]),
}


def events_of(*pieces):
    reader = SseReader()
    return [event for piece in pieces for event in reader.feed(piece)]


def cut(data, positions):
    edges = [0, *sorted(min(at, len(data)) for at in positions), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


@pytest.mark.parametrize(("data", "events"), CASES.values(), ids=CASES.keys())
def test_the_stream_is_read_as_written(data, events):
    assert events_of(data) == events


@pytest.mark.parametrize(("data", "events"), CASES.values(), ids=CASES.keys())
def test_a_cut_at_any_byte_changes_nothing(data, events):
    for at in range(len(data) + 1):
        assert events_of(data[:at], data[at:]) == events


@pytest.mark.parametrize(("data", "events"), CASES.values(), ids=CASES.keys())
def test_byte_by_byte_changes_nothing(data, events):
    assert events_of(*(data[at : at + 1] for at in range(len(data)))) == events


LINES = [b"data: x", b"data:y", b"data", b"event: e", b"event", b": c", b"", b"id: 1", b"\xd0\xbf"]
STREAMS = st.lists(
    st.tuples(st.sampled_from(LINES), st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n"])),
    max_size=12,
).map(lambda lines: b"".join(line + end for line, end in lines))


@given(data=STREAMS, positions=st.lists(st.integers(0, 120), max_size=6))
def test_any_cuts_of_any_stream_change_nothing(data, positions):
    assert events_of(*cut(data, positions)) == by_the_letter(data)


@given(data=st.text("dat:ev nx\r\n\ufeff").map(str.encode), positions=st.lists(st.integers(0, 60)))
def test_any_cuts_of_rubbish_change_nothing(data, positions):
    assert events_of(*cut(data, positions)) == by_the_letter(data)


def by_the_letter(stream):
    """The standard's algorithm, line by line, for streams of UTF-8."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events = []
    data, name = b"", ""
    for line in text.split(b"\n")[:-1]:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if line == b"":
            if data != b"":
                events.append((name, data.removesuffix(b"\n")))
            data, name = b"", ""
        elif field == b"data":
            data += value + b"\n"
        elif field == b"event":
            name = value.decode()
    return events


# The end of the body --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [b"d", b"data: x", b"data: x\n", b"event: e\n", b"x", b"data: x\r"]
)
def test_a_half_read_event_is_pending(data):
    reader = SseReader()

    reader.feed(b"data: a\n\n" + data)

    assert reader.pending


@pytest.mark.parametrize("data", [b"", b": keep-al", b": keep-alive\n", b"\n", b"id: 1\n", b"\r"])
def test_nothing_is_pending_between_events(data):
    reader = SseReader()

    reader.feed(b"data: a\n\n" + data)

    assert not reader.pending


# Size -----------------------------------------------------------------------------------------


def test_a_line_as_long_as_allowed_is_read():
    value = b"x" * (LINE_BYTES_MAX - 6)

    assert events_of(b"data: " + value + b"\n\n") == [("", value)]
    assert events_of(b"data: " + value, b"\n", b"\n") == [("", value)]


@pytest.mark.parametrize("field", [b"data: ", b": ", b"event: ", b"junk"])
@pytest.mark.parametrize("end", [b"", b"\n\n", b"\r\n\r\n"])
def test_a_longer_line_is_invalid_however_it_comes(field, end):
    line = field + b"x" * (LINE_BYTES_MAX + 1 - len(field))

    for pieces in ([line + end], [line[:100], line[100:], end], [b"data: a\n", line + end]):
        with pytest.raises(Fault) as caught:
            events_of(*pieces)
        assert caught.value.kind == "invalid"


def test_an_event_of_endless_lines_is_invalid():
    line = b"data: " + b"x" * 100_000 + b"\n"

    with pytest.raises(Fault) as caught:
        events_of(*[line] * 100)

    assert caught.value.kind == "invalid"


def test_a_long_line_in_small_pieces_is_not_copied_again_and_again():
    value = b"x" * 300_000
    pieces = [value[at : at + 1] for at in range(len(value))]

    assert events_of(b"data: ", *pieces, b"\n\n") == [("", value)]
