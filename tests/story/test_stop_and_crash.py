"""The server is stopped, or killed, with streams open: money is settled, and it starts again."""

from pathlib import Path

import pytest
from books import books_agree, losses
from calls import Line, chat, events_of, text_of
from server import Server
from shops import open_shop

from fakes.gateway import Customer, Gateway
from fakes.openai_server import FakeOpenAI, Reply
from fakes.postgres import TemporaryPostgres

STREAMS = 4


@pytest.fixture
def customer(home: Path, openrouter: FakeOpenAI) -> Customer:
    """Somebody with money in a home that no server uses yet."""
    with Gateway(home) as office:
        return open_shop(office, openrouter).customer


def open_streams(server: Server, customer: Customer) -> list[Line]:
    """Streams that have begun and wait for their vendor."""
    lines = [Line(server) for _ in range(STREAMS)]  # type: ignore[arg-type]  # only its address
    for line in lines:
        line.ask(server, customer.key)  # type: ignore[arg-type]
        line.hear_events(3)
    return lines


def hear_to_the_end(line: Line) -> str:
    while data := line.socket.recv(65536):
        line.heard += data
        if b"[DONE]" in line.heard:
            break
    return line.heard.decode()


def test_streams_end_well_when_the_server_is_asked_to_stop(
    home: Path, customer: Customer, openrouter: FakeOpenAI
) -> None:
    openrouter.says(*[Reply(comments=0, wait_after=3)] * STREAMS)
    with Server(home) as server:
        lines = open_streams(server, customer)

        server.ask_to_stop()
        openrouter.go_on()
        heard = [hear_to_the_end(line) for line in lines]

        assert server.wait() == 0, server.said()
    texts = [text_of(events_of(text.split("\r\n\r\n", 1)[1])) for text in heard]
    assert texts == ["Hello from the fake vendor."] * STREAMS
    with Gateway(home) as again:
        outcomes = [card["outcome"] for card in books_agree(again, customer, openrouter)]
        assert outcomes == ["charged"] * STREAMS


def test_streams_that_do_not_end_are_ended_and_settled(
    home: Path, customer: Customer, openrouter: FakeOpenAI
) -> None:
    openrouter.says(*[Reply(comments=0, wait_after=3)] * STREAMS)
    with Server(home, shutdown_grace_s="0.5") as server:
        open_streams(server, customer)

        assert server.stop() == 0, server.said()
    with Gateway(home) as again:
        generations = books_agree(again, customer)
        assert len(generations) == STREAMS
        assert {card["outcome"] for card in generations} == {"free_broken"}
        assert len(losses(again, customer)) == STREAMS


def test_a_killed_server_starts_again_with_true_books(
    home: Path, customer: Customer, openrouter: FakeOpenAI
) -> None:
    openrouter.says(*[Reply(comments=0, wait_after=3)] * STREAMS)
    with Server(home) as server:
        open_streams(server, customer)
        # Committed after the streams began, so that what was noted of them is on disk.
        assert chat(server, customer.key, model="sandbox/echo").status_code == 200  # type: ignore[arg-type]
        server.kill()

    with Server(home) as server:
        served = chat(server, customer.key)  # type: ignore[arg-type]
        assert server.stop() == 0, server.said()

    assert served.status_code == 200
    with Gateway(home) as again:
        generations = books_agree(again, customer)
        outcomes = sorted(card["outcome"] for card in generations)
        assert outcomes == ["charged"] * 2 + ["free_unknown"] * STREAMS
        assert [reason for _, reason in losses(again, customer)] == ["free_unknown"] * STREAMS


def test_a_node_resolves_what_another_left_when_it_died(
    postgres: TemporaryPostgres, home: Path, openrouter: FakeOpenAI
) -> None:
    database_url = postgres.make_database("node_that_died")
    with Gateway(home, database_url) as office:
        shop = open_shop(office, openrouter)
        openrouter.says(*[Reply(comments=0, wait_after=3)] * STREAMS)
        with Server(home, database_url) as server:
            open_streams(server, shop.customer)
            server.kill()

        # As if a minute of silence had passed.
        office.write(
            lambda tx: tx.execute(
                "UPDATE workers SET heartbeat_at = 0 WHERE id <> $1", office.app.owner.worker_id
            )
        )
        office.run(office.app.sweep())

        generations = books_agree(office, shop.customer)
        assert {card["outcome"] for card in generations} == {"free_unknown"}
        assert len(generations) == STREAMS
