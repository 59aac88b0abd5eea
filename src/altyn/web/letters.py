"""Letters: written in the transaction that is their reason, sent afterwards, tried until they go.

Without a mail server they are written to a file that only the operator can read, and shown at the
terminal if there is one: so the whole way can be walked on a laptop.
"""

import os
import sys
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog
from msgspec import Struct

from altyn.database.engine import Database, Transaction, now_ms
from altyn.settings import Settings

log = structlog.get_logger("altyn.web")
FILE = "letters.txt"
ATTEMPTS_MAX = 10
PAUSE_MS = 30_000
"""How long after the first failure a letter is tried again; each time twice as long."""

SEND_TIMEOUT_S = 30
LEASE_MS = 120_000
"""A letter that is being sent is nobody else's for so long, whatever becomes of its sender."""

DUE = (
    "SELECT id, recipient, subject, body, attempts FROM letters"
    " WHERE due_at <= $1 AND attempts < $2 ORDER BY due_at LIMIT 20"
)
LOCK = {"sqlite": "", "postgresql": " FOR UPDATE SKIP LOCKED"}


class Letter(Struct, frozen=True):
    id: int
    recipient: str
    subject: str
    body: str
    attempts: int


async def write_letter(tx: Transaction, *, recipient: str, subject: str, body: str) -> None:
    """Put a letter into the box."""
    now = now_ms()
    await tx.execute(
        "INSERT INTO letters (recipient, subject, body, created_at, due_at)"
        " VALUES ($1, $2, $3, $4, $4)",
        recipient,
        subject,
        body,
        now,
    )


class Postman:
    """Empties the box. Two of them never take the same letter."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings

    async def go(self) -> None:
        """Send what is due. What fails is tried later; what failed too often stays for a look."""
        if not await self.database.read(
            "SELECT 1 FROM letters WHERE due_at <= $1 LIMIT 1", now_ms()
        ):
            return
        for letter in await self.database.write(_take):
            try:
                await self._deliver(letter)
            except (aiosmtplib.SMTPException, OSError) as error:
                log.warning("letter_not_sent", letter=letter.id, why=type(error).__name__)
                await self.database.write(partial(_put_back, letter=letter, why=str(error)))
            else:
                await self.database.write(partial(_discard, letter_id=letter.id))

    async def _deliver(self, letter: Letter) -> None:
        if self.settings.smtp_url is None:
            _show(self.settings.home / FILE, letter)
            return
        server = urlsplit(self.settings.smtp_url)
        tls = server.scheme == "smtps"
        await aiosmtplib.send(
            _message(letter, sender=self.settings.mail_from),
            hostname=server.hostname,
            port=server.port or (465 if tls else 587),
            username=unquote(server.username) if server.username else None,
            password=unquote(server.password) if server.password else None,
            use_tls=tls,
            timeout=SEND_TIMEOUT_S,
        )


def _message(letter: Letter, *, sender: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = sender
    message["To"] = letter.recipient
    message["Subject"] = letter.subject
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.body)
    return message


def _show(path: Path, letter: Letter) -> None:
    text = f"To: {letter.recipient}\nSubject: {letter.subject}\n\n{letter.body}\n\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(text)
    if sys.stdout.isatty():
        sys.stdout.write(f"\n{text}")


async def _take(tx: Transaction) -> list[Letter]:
    now = now_ms()
    rows = await tx.fetch(DUE + LOCK[tx.kind], now, ATTEMPTS_MAX)
    for row in rows:
        await tx.execute("UPDATE letters SET due_at = $2 WHERE id = $1", row[0], now + LEASE_MS)
    return [Letter(*row) for row in rows]


async def _put_back(tx: Transaction, *, letter: Letter, why: str) -> None:
    await tx.execute(
        "UPDATE letters SET attempts = attempts + 1, due_at = $2, failure = $3 WHERE id = $1",
        letter.id,
        now_ms() + PAUSE_MS * 2**letter.attempts,
        why[:500],
    )


async def _discard(tx: Transaction, *, letter_id: int) -> None:
    # Its body may hold a link that opens something: it is not kept.
    await tx.execute("DELETE FROM letters WHERE id = $1", letter_id)
