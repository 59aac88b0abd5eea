"""The pictures of the documentation: a gateway with a believable past, photographed in Chromium.

`PYTHONPATH=src:tests .venv/bin/python tests/web/photograph.py [NAME …]` writes every picture of
`docs/images`, or those that are named, in English and in Russian. Dates are those of the day.
"""

import random
import shutil
import struct
import sys
import tempfile
import zlib
from functools import partial
from pathlib import Path
from typing import Any

from people import Person, sign_in
from playwright.sync_api import Browser, Page, sync_playwright
from windows import ARGUMENTS, open_context

from altyn.database.engine import Transaction, now_ms
from altyn.keys.key import window_start
from fakes.gateway import Gateway
from fakes.past import Past

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
WINDOW = {"width": 1280, "height": 800}
BYTES_MAX = 150_000

PICTURES = {
    "overview": "/app",
    "keys": "/app/keys",
    "usage": "/app/usage",
    "requests": "/app/requests",
    "request": "/app/requests/{request}",
    "balance": "/app/billing",
    "models": "/models",
    "documentation": "/docs",
    "playground": "/app/playground?model=sandbox/lorem",
}
DARK = ("keys", "request")

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
DAYS = 40
MODELS = (
    "anthropic/claude-sonnet-4.5",
    "openai/gpt-5-mini",
    "google/gemini-2.5-pro",
    "x-ai/grok-4.1-fast",
)
WEEK = (26, 30, 28, 33, 24, 9, 7)
"""Calls of each day from Monday on."""
ENDS = ("charged",) * 180 + ("free_upstream_error", "charged_cancelled", "free_refused")


def sold(gateway: Gateway) -> list[str]:
    """The models of the catalog that are not the sandbox's own."""
    rows = gateway.read("SELECT id FROM models WHERE id NOT LIKE 'sandbox/%'")
    return [model_id for (model_id,) in rows]


def live(gateway: Gateway, person: Person) -> str:
    """Forty days of a small firm; the id of a call that tells much."""
    chance, now = random.Random(11), now_ms()
    past = Past(gateway.app.desk, gateway.app.writer, account_id=person.account_id, seed=11)
    keys = [
        person.create_key("prod", limit="6", period="month")[0],
        person.create_key("support-bot", limit="1", period="week")[0],
        person.create_key("nightly", models=list(MODELS[1:3]), ip_ranges="203.0.113.0/24")[0],
    ]
    staging, _ = person.create_key("staging", mode="test")
    person.post(f"/app/keys/{staging}/test")

    async def live_day(day: int) -> None:
        begins = now - now % DAY_MS - day * DAY_MS
        if day in (DAYS, DAYS // 2):
            await past.pay_in(8 * 10**9, at=begins, reason=f"invoice {204 + DAYS - day}")
        calls = WEEK[(begins // DAY_MS + 3) % 7] + chance.randrange(6)
        # People work by day; what has not been yet is not told.
        moments = sorted(begins + int(chance.gauss(12, 3.2) * HOUR_MS) for _ in range(calls))
        for at in (at for at in moments if begins <= at < now - HOUR_MS):
            await past.call(
                chance.choice(ENDS),
                at=at,
                key_id=chance.choices(keys, (6, 3, 2))[0],
                model=chance.choices(MODELS, (3, 6, 2, 2))[0],
            )

    for day in range(DAYS, -1, -1):
        gateway.run(live_day(day))
    request = gateway.run(
        past.call("charged", at=now - 10 * 60_000, key_id=keys[0], model=MODELS[0])
    )
    spends = (
        (keys[0], window_start("month", now), 3_140_000_000),
        (keys[1], window_start("week", now), 890_000_000),
    )
    for spend in spends:
        gateway.write(partial(spend_by_key, spend))
    return request


async def spend_by_key(spend: tuple[int, int, int], tx: Transaction) -> None:
    """What a key has spent of its limit: these calls were told to the ledger without their keys."""
    await tx.execute(
        "INSERT INTO key_spends (key_id, window_at, spent_nanos) VALUES ($1, $2, $3)", *spend
    )


def photograph(browser: Browser, person: Person, name: str, path: str, language: str) -> None:
    person.client.headers["accept-language"] = language
    context = open_context(
        browser,
        person,
        viewport=WINDOW,
        color_scheme="dark" if name in DARK else "light",
        reduced_motion="reduce",
    )
    page = context.new_page()
    page.goto(person.gateway.url + path, wait_until="networkidle")
    if name == "playground":
        talk(page, language)
    picture = IMAGES / f"{name}.{language}.png"
    picture.write_bytes(packed(page.screenshot()))
    context.close()
    size = picture.stat().st_size
    too_large = "  TOO LARGE" if size > BYTES_MAX else ""
    sys.stdout.write(f"{picture.name:24} {size // 1024:4} KB{too_large}\n")


def talk(page: Page, language: str) -> None:
    page.locator("#message").fill({"en": "What is a token?", "ru": "Что такое токен?"}[language])
    page.locator("[data-send]").click()
    page.locator("[data-told]:not([hidden])").wait_for()
    page.evaluate("scrollTo(0, 0)")


def packed(picture: bytes) -> bytes:
    """The same PNG, pressed as small as zlib can: a browser is in a hurry."""
    chunks, place = [], 8
    while place < len(picture):
        (length,) = struct.unpack(">I", picture[place : place + 4])
        chunks.append((picture[place + 4 : place + 8], picture[place + 8 : place + 8 + length]))
        place += length + 12
    pixels = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    written = [(b"IHDR", chunks[0][1]), (b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b"")]
    return picture[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in written
    )


def main(wanted: list[str]) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Gateway(Path(folder) / "home", public_url="http://127.0.0.1:8080") as gateway,
    ):
        # Nobody is asked here: the address only makes the models available.
        gateway.add_upstream("http://127.0.0.1:9", *sold(gateway), name="vendor")
        person = sign_in(gateway)
        request = live(gateway, person)
        facts: dict[str, Any] = {"request": f"req_{request}"}
        gateway.write(
            lambda tx: tx.execute(
                "UPDATE users SET zone = 'Europe/Moscow', name = 'Anna' WHERE id = $1",
                person.user_id,
            )
        )
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=list(ARGUMENTS)
            )
            for name, path in PICTURES.items():
                for language in ("en", "ru"):
                    if not wanted or name in wanted:
                        gateway.app.cabinet.forget_rates()
                        photograph(browser, person, name, path.format(**facts), language)
            browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
