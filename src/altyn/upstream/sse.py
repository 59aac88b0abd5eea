"""Server-Sent Events, read as they come (WHATWG HTML, 9.2.6).

Any cut of the same bytes gives the same events. The common cases, bursts of `data: {...}` lines
with a blank line after each, also with an `event:` line before each, are split in C; everything
else is read line by line.
"""

from altyn.chat import Fault

LINE_BYTES_MAX = 8 * 1024 * 1024
"""Longest line, and most data of one event: images and encrypted reasoning come as one line."""

LINES_MAX = 100_000
"""Lines of one event. Vendors write one; eight million empty ones took nine seconds to refuse."""

BOM = b"\xef\xbb\xbf"
LF = 0x0A
CR = 0x0D

Event = tuple[str, bytes]
"""The name, `""` if it has none, and the data, its lines joined by LF."""


class SseReader:
    """One stream of events. An event without its blank line is not an event: see `pending`."""

    __slots__ = ("_after_cr", "_begun", "_data", "_data_bytes", "_name", "_tail", "_tail_bytes")

    def __init__(self) -> None:
        self._begun = False
        self._after_cr = False
        self._tail: list[bytes] = []
        self._tail_bytes = 0
        self._name = ""
        self._data: list[bytes] = []
        self._data_bytes = 0

    @property
    def pending(self) -> bool:
        """An event has begun and not ended: at the end of the body, something was cut off."""
        if self._tail and not self._tail[0].startswith(b":"):
            return True
        return bool(self._data or self._name)

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that are complete now; comments and events without data are skipped.

        Raise `Fault("invalid")` for a line, or the data of one event, over `LINE_BYTES_MAX`.
        """
        if self._after_cr or CR in data:
            data = self._with_lf_only(data)
        if LF not in data:
            self._keep(data)
            return []
        if self._tail or not self._begun:
            data = self._joined(data)
        if len(data) > LINE_BYTES_MAX:
            _check_lines(data)
        elif not self._data and not self._name:
            if data.startswith(b"data: "):
                return self._read_burst(data)
            if data.startswith(b"event: "):
                return self._read_named_burst(data)
        return self._read_lines(data)

    def _with_lf_only(self, data: bytes) -> bytes:
        # A CR ends its line at once; if the LF of the same line end comes later, it is dropped.
        if self._after_cr and data:
            self._after_cr = False
            data = data.removeprefix(b"\n")
        if CR in data:
            self._after_cr = data.endswith(b"\r")
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return data

    def _keep(self, data: bytes) -> None:
        # Kept in pieces: joining at every piece would copy a long line again and again.
        if data:
            self._tail.append(data)
            self._tail_bytes += len(data)
            if self._tail_bytes > LINE_BYTES_MAX:
                raise _too_long()

    def _joined(self, data: bytes) -> bytes:
        data = b"".join((*self._tail, data))
        self._tail.clear()
        self._tail_bytes = 0
        if not self._begun:
            self._begun = True
            data = data.removeprefix(BOM)
        return data

    def _read_burst(self, data: bytes) -> list[Event]:
        end = data.rfind(b"\n\n")
        blocks = data[6:end].split(b"\n\ndata: ")
        if end < 0 or data.count(b"\n", 0, end) != 2 * (len(blocks) - 1):
            return self._read_lines(data)
        events = [("", block) for block in blocks]
        if end + 2 < len(data):
            events += self._read_lines(data[end + 2 :])
        return events

    def _read_named_burst(self, data: bytes) -> list[Event]:
        end = data.rfind(b"\n\n")
        blocks = data[7:end].split(b"\n\nevent: ")
        if end < 0 or data.count(b"\n", 0, end) != 3 * len(blocks) - 2:
            return self._read_lines(data)
        events: list[Event] = []
        for block in blocks:
            name, found, payload = block.partition(b"\ndata: ")
            if not found:
                return self._read_lines(data)
            events.append((name.decode("utf-8", "replace"), payload))
        if end + 2 < len(data):
            events += self._read_lines(data[end + 2 :])
        return events

    def _read_lines(self, data: bytes) -> list[Event]:
        events: list[Event] = []
        *lines, tail = data.split(b"\n")
        for line in lines:
            if not line:
                self._dispatch(events)
                continue
            start = line[:6]
            if start == b"data: ":
                self._add_data(line[6:])
            elif start == b"event:":
                self._name = line[6:].removeprefix(b" ").decode("utf-8", "replace")
            elif start[:5] == b"data:" or line == b"data":
                self._add_data(line[5:])
            elif line == b"event":
                self._name = ""
        self._keep(tail)
        return events

    def _add_data(self, value: bytes) -> None:
        self._data.append(value)
        self._data_bytes += len(value) + 1
        if self._data_bytes > LINE_BYTES_MAX or len(self._data) > LINES_MAX:
            raise _too_long()

    def _dispatch(self, events: list[Event]) -> None:
        if self._data:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            events.append((self._name, data))
            self._data = []
            self._data_bytes = 0
        self._name = ""


def _check_lines(data: bytes) -> None:
    if max(map(len, data.split(b"\n"))) > LINE_BYTES_MAX:
        raise _too_long()


def _too_long() -> Fault:
    return Fault("invalid", f"a line or event of the stream is over {LINE_BYTES_MAX} bytes")
