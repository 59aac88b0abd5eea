"""Undo gzip and deflate a bounded step at a time, so that a bomb is met before it goes off."""

import zlib

from altyn.chat import Fault

STEP_BYTES_MAX = 1024 * 1024
"""The most one step gives back, however small its input was."""

RATIO_MAX = 200
"""Chat JSON and events shrink 3 to 30 times; deflate itself can reach 1032."""

MEMBERS_MAX = 100
"""Members of one body. Servers send one; an empty one takes 20 bytes, and time to be set up."""

AUTO_WBITS = 47
"""zlib finds out by itself whether the stream is gzip or zlib."""

GZIP_FIRST_BYTE = 0x1F


class Inflater:
    """One compressed body. Feed it what arrives, then `b""` for as long as `pending` holds.

    Many gzip members in a row are one body (RFC 1952, 2.2).
    """

    __slots__ = (
        "_given_bytes",
        "_left",
        "_members",
        "_started",
        "_taken_bytes",
        "_zlib",
        "pending",
    )

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(AUTO_WBITS)
        self._left = b""
        self._members = 1
        self._started = False
        self._taken_bytes = 0
        self._given_bytes = 0
        self.pending = False

    @property
    def cut(self) -> bool:
        """If the body ended here, some of it would be missing."""
        return self._started and not self._zlib.eof

    def feed(self, data: bytes) -> bytes:
        """Inflate at most `STEP_BYTES_MAX`. Raise `Fault("invalid")` for damage and for bombs."""
        data = self._left + data
        if data and not self._started:
            self._start(data[0])
        try:
            inflated = self._inflate(data)
        except zlib.error:
            raise Fault("invalid", "the compressed body is damaged") from None
        self._taken_bytes += len(data) - len(self._left)
        self._given_bytes += len(inflated)
        if self._given_bytes > max(STEP_BYTES_MAX, self._taken_bytes * RATIO_MAX):
            raise Fault("invalid", f"the body inflates more than {RATIO_MAX} times")
        return inflated

    def _start(self, first_byte: int) -> None:
        self._started = True
        if first_byte != GZIP_FIRST_BYTE and first_byte & 0x0F != zlib.DEFLATED:
            # "deflate" means a zlib wrapper, but some servers send the bare stream.
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)

    def _inflate(self, data: bytes) -> bytes:
        inflated = b""
        while data or self.pending:
            if self._zlib.eof and data:
                self._members += 1
                if self._members > MEMBERS_MAX:
                    raise Fault("invalid", f"the body has more than {MEMBERS_MAX} gzip members")
                self._zlib = zlib.decompressobj(AUTO_WBITS)
            inflated += self._zlib.decompress(data, STEP_BYTES_MAX - len(inflated))
            data = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
            # A full step may leave output inside zlib even when it has taken all of its input.
            self.pending = len(inflated) == STEP_BYTES_MAX
            if self.pending:
                break
        self._left = data
        return inflated
