"""The keys in use, at hand: a look-up is a dictionary, a revocation is known within a second.

Every change of a key, account or model adds one to a revision in the database. Each process looks
at it twice a second and forgets everything it knew when it has changed.
"""

from altyn.database.engine import Database
from altyn.keys.store import Caller, find_caller

KNOWN_MAX = 100_000
UNKNOWN_MAX = 10_000
"""Digests remembered as nobody's: a flood of made-up keys must not become a flood of queries."""


class Ring:
    """Callers by the digest of their key."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._known: dict[bytes, Caller] = {}
        self._unknown: set[bytes] = set()
        self._age = 0

    def find_known(self, key_digest: bytes) -> Caller | None:
        """The caller, if this process has met the key since the last change. Never waits."""
        return self._known.get(key_digest)

    async def find(self, key_digest: bytes) -> Caller | None:
        if (caller := self._known.get(key_digest)) is not None:
            return caller
        if key_digest in self._unknown:
            return None
        age = self._age
        caller = await find_caller(self.database, key_digest)
        if age == self._age:  # what was read before a change must not be kept after it
            self._keep(key_digest, caller)
        return caller

    def forget(self) -> None:
        """Something has changed: read everything again when it is next asked for."""
        self._age += 1
        self._known.clear()
        self._unknown.clear()

    def _keep(self, key_digest: bytes, caller: Caller | None) -> None:
        if caller is None:
            if len(self._unknown) >= UNKNOWN_MAX:
                self._unknown.clear()
            self._unknown.add(key_digest)
            return
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known[key_digest] = caller
