"""Several routes to one model: which one serves, which one rests, and who pays for the others."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import requests
from books import books_agree, losses
from calls import MODEL, chat, events_of, exact, text_of, wait_until

from altyn.catalog.load import add_price
from altyn.catalog.price import Price
from altyn.catalog.route import set_strategy
from altyn.upstream.provider import (
    drain_provider,
    resume_provider,
    set_parallel,
    set_secret,
)
from fakes.gateway import Customer, Gateway
from fakes.openai_server import FakeOpenAI, Reply

KEY = "sk-canary-0123456789abcdef"
THEIRS = "their-model"
BOTH = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


class House:
    """A vendor of the model, and the provider it is to the gateway."""

    def __init__(self, gateway: Gateway, vendor: FakeOpenAI, *, priority: int) -> None:
        self.gateway, self.vendor = gateway, vendor
        self.name = gateway.add_upstream(
            vendor.base_url.replace("127.0.0.1", "localhost"),
            MODEL,
            secret=vendor.key,
            upstream_model=THEIRS,
            priority=priority,
        )

    @property
    def calls(self) -> int:
        return len(self.vendor.calls)

    def change(self, deed: Callable[..., Any], **arguments: Any) -> None:
        self.gateway.write(partial(deed, name=self.name, **arguments))


@pytest.fixture
def vendors() -> Iterator[list[FakeOpenAI]]:
    fakes = [FakeOpenAI(key=KEY, models=(THEIRS,)) for _ in range(2)]
    for fake in fakes:
        fake.start()
    yield fakes
    for fake in fakes:
        fake.go_on()
        fake.stop()


@pytest.fixture
def houses(sqlite_gateway: Gateway, vendors: list[FakeOpenAI]) -> tuple[House, House]:
    """Two providers of one model: the first is asked first."""
    first, second = vendors
    return House(sqlite_gateway, first, priority=1), House(sqlite_gateway, second, priority=2)


@pytest.fixture
def customer(sqlite_gateway: Gateway) -> Customer:
    return sqlite_gateway.add_customer()


def ready(gateway: Gateway) -> Any:
    return requests.get(f"{gateway.url}/readyz", timeout=10)


def metrics(gateway: Gateway) -> str:
    token = (gateway.settings.home / "metrics.token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    return requests.get(f"{gateway.url}/metrics", headers=headers, timeout=10).text


def at_once(count: int, call: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(count) as pool:
        return [future.result() for future in [pool.submit(call) for _ in range(count)]]


# The next route -------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_the_second_serves_what_the_first_refuses(
    sqlite_gateway: Gateway, houses: Any, customer: Customer, *, stream: bool, status: int
) -> None:
    first, second = houses
    first.vendor.says(Reply(status=status))

    answer = chat(sqlite_gateway, customer.key, stream=stream)

    assert answer.status_code == 200
    assert (first.calls, second.calls) == (1, 1)
    (generation,) = books_agree(sqlite_gateway, customer)
    assert (generation["outcome"], generation["model"]) == ("charged", MODEL)
    assert losses(sqlite_gateway, customer) == []


def test_both_databases_tell_who_served_after_how_many(
    gateway: Gateway, vendors: list[FakeOpenAI]
) -> None:
    first, second = (
        House(gateway, vendor, priority=number) for number, vendor in enumerate(vendors)
    )
    customer = gateway.add_customer()
    first.vendor.says(Reply(status=500))

    chat(gateway, customer.key)

    books_agree(gateway, customer)
    rows = gateway.read("SELECT provider, attempts FROM usage_records")
    assert [tuple(row) for row in rows] == [(second.name, 2)]


@BOTH
def test_a_wrong_request_is_not_tried_elsewhere(
    sqlite_gateway: Gateway, houses: Any, customer: Customer, *, stream: bool
) -> None:
    first, second = houses
    first.vendor.says(Reply(status=400))

    answer = chat(sqlite_gateway, customer.key, stream=stream)

    assert answer.status_code == 400
    assert (first.calls, second.calls) == (1, 0)


def test_nothing_is_tried_once_the_caller_has_heard_a_word(
    sqlite_gateway: Gateway, houses: Any, customer: Customer
) -> None:
    first, second = houses
    first.vendor.says(Reply(error={"message": "broken", "code": 502}))

    answer = chat(sqlite_gateway, customer.key, stream=True)

    assert events_of(answer.text)[-2]["error"]["code"] == "upstream_error"
    assert second.calls == 0


def test_an_outage_of_everything_tells_nothing_of_anybody(
    sqlite_gateway: Gateway, houses: Any, customer: Customer
) -> None:
    for house in houses:
        house.vendor.says(Reply(status=500, body=f"{KEY} at {house.vendor.base_url}".encode()))

    answer = chat(sqlite_gateway, customer.key)

    assert exact(answer)["error"]["code"] == "upstream_error"
    told = answer.text + str(answer.headers)
    for secret in (KEY, THEIRS, "localhost", houses[0].name, str(houses[0].vendor.port)):
        assert secret not in told


# What replaced attempts cost ------------------------------------------------------------------


def test_a_whole_answer_that_broke_off_and_was_replaced_is_the_operators_loss(
    sqlite_gateway: Gateway, houses: Any, customer: Customer
) -> None:
    first, second = houses
    first.vendor.says(Reply(cut_after_bytes=60))

    answer = chat(sqlite_gateway, customer.key)

    assert answer.status_code == 200
    assert second.calls == 1
    (generation,) = books_agree(sqlite_gateway, customer)
    assert generation["outcome"] == "charged"
    ((lost, reason),) = losses(sqlite_gateway, customer)
    assert (lost > 0, reason) == (True, "missed")


@pytest.fixture
def impatient(tmp_path: Any) -> Iterator[Gateway]:
    with Gateway(tmp_path / "impatient", first_event_timeout_s="0.2") as running:
        yield running
        running.wait_until_idle()
        running.verify()


@BOTH
def test_a_vendor_we_stopped_waiting_for_bills_and_the_customer_pays_the_other(
    impatient: Gateway, vendors: list[FakeOpenAI], *, stream: bool
) -> None:
    first, second = (House(impatient, vendor, priority=n) for n, vendor in enumerate(vendors))
    customer = impatient.add_customer()
    first.vendor.says(Reply(wait_after=0))

    answer = chat(impatient, customer.key, stream=stream)

    assert answer.status_code == 200
    (generation,) = books_agree(impatient, customer)
    assert generation["outcome"] == "charged"
    assert second.calls == 1
    assert [reason for _, reason in losses(impatient, customer)] == ["missed"]


@BOTH
def test_a_timeout_of_the_only_route_is_a_loss_too(
    impatient: Gateway, vendors: list[FakeOpenAI], *, stream: bool
) -> None:
    only = House(impatient, vendors[0], priority=1)
    customer = impatient.add_customer()
    only.vendor.says(Reply(wait_after=0))

    answer = chat(impatient, customer.key, stream=stream)

    assert answer.status_code == 504
    books_agree(impatient, customer)
    assert [reason for _, reason in losses(impatient, customer)] == ["free_upstream_error"]


def test_a_loss_counts_what_that_provider_takes(
    impatient: Gateway, vendors: list[FakeOpenAI]
) -> None:
    first, _ = (House(impatient, vendor, priority=n) for n, vendor in enumerate(vendors))
    customer = impatient.add_customer()
    dear = Price(input=10**12, output=10**12)
    impatient.write(
        lambda tx: add_price(tx, model_id=MODEL, kind="cost", price=dear, provider=first.name)
    )
    first.vendor.says(Reply(wait_after=0))

    chat(impatient, customer.key)

    books_agree(impatient, customer)
    ((lost, _),) = losses(impatient, customer)
    assert lost >= 10**6


# Keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 402, 403])
def test_a_refused_key_takes_the_provider_out_and_a_new_one_heals(
    sqlite_gateway: Gateway, houses: Any, customer: Customer, status: int
) -> None:
    first, second = houses
    first.vendor.says(Reply(status=status))

    answers = [chat(sqlite_gateway, customer.key).status_code for _ in range(3)]

    assert answers == [200, 200, 200]
    assert (first.calls, second.calls) == (1, 3)
    said = ready(sqlite_gateway)
    assert said.status_code == 200
    assert first.name in str(said.json()["reasons"])
    assert f'altyn_provider_up{{provider="{first.name}"}} 0.0' in metrics(sqlite_gateway)

    first.change(partial(set_secret, seal=sqlite_gateway.seal), secret=KEY)
    chat(sqlite_gateway, customer.key)

    assert first.calls == 2
    assert ready(sqlite_gateway).json()["reasons"] == []
    books_agree(sqlite_gateway, customer)


def test_when_the_only_key_is_refused_nobody_is_called_in_vain(
    sqlite_gateway: Gateway, vendors: list[FakeOpenAI], customer: Customer
) -> None:
    only = House(sqlite_gateway, vendors[0], priority=1)
    only.vendor.says(Reply(status=401))

    answers = [chat(sqlite_gateway, customer.key) for _ in range(4)]

    assert {exact(answer)["error"]["code"] for answer in answers} == {"model_unavailable"}
    assert only.calls == 1
    books_agree(sqlite_gateway, customer)


# Retry-After ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "called"),
    [
        ("30", 1),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 1),
        ("999999999999", 1),
        ("soon", 3),
        ("-5", 3),
        ("0", 3),
        ("1e400", 1),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 3),
        ("\u00bd", 3),
        ("nan", 3),
    ],
)
def test_a_vendor_is_left_alone_as_long_as_it_asks_in_words_that_can_be_read(
    sqlite_gateway: Gateway, houses: Any, customer: Customer, asked: str, called: int
) -> None:
    first, _ = houses
    refusal = Reply(status=429, headers={"retry-after": asked.encode().decode("latin-1")})
    first.vendor.says(refusal, refusal, refusal)

    answers = [chat(sqlite_gateway, customer.key).status_code for _ in range(3)]

    assert answers == [200, 200, 200]
    assert first.calls == called
    first.vendor.forget()


# The breaker, under load ----------------------------------------------------------------------


def test_of_64_calls_at_once_exactly_one_is_the_probe(
    sqlite_gateway: Gateway, vendors: list[FakeOpenAI], customer: Customer
) -> None:
    only = House(sqlite_gateway, vendors[0], priority=1)
    only.vendor.says(*[Reply(status=500)] * 5)
    for _ in range(5):
        chat(sqlite_gateway, customer.key)
    assert chat(sqlite_gateway, customer.key).status_code == 503
    assert only.calls == 5
    turn_the_clock(sqlite_gateway, 16)
    only.vendor.says(Reply(wait_after=0))

    with ThreadPoolExecutor(64) as pool:
        futures = [pool.submit(chat, sqlite_gateway, customer.key) for _ in range(64)]
        wait_until(lambda: sum(future.done() for future in futures) == 63)
        asked = only.calls - 5
        only.vendor.go_on()
        statuses = sorted(future.result().status_code for future in futures)

    assert asked == 1
    assert statuses == [200] + [503] * 63
    assert chat(sqlite_gateway, customer.key).status_code == 200
    books_agree(sqlite_gateway, customer)


def turn_the_clock(gateway: Gateway, seconds: float) -> None:
    """For the router alone; its next looks see it."""
    gateway.app.router.clock = lambda: time.monotonic() + seconds


def test_an_outage_does_not_get_three_times_its_load(
    sqlite_gateway: Gateway, customer: Customer
) -> None:
    fakes = [FakeOpenAI(key=KEY, models=(THEIRS,)).start() for _ in range(3)]
    try:
        houses = [House(sqlite_gateway, fake, priority=n) for n, fake in enumerate(fakes)]
        for fake in fakes:
            fake.answers("", Reply(status=500))

        at_once(8, lambda: [chat(sqlite_gateway, customer.key) for _ in range(25)])

        # Each breaker lets few through, whoever asks; 3 x 200 would be the storm.
        assert sum(house.calls for house in houses) < 100
    finally:
        for fake in fakes:
            fake.stop()
    books_agree(sqlite_gateway, customer)


# Drain and room -------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True])
def test_a_drained_provider_ends_what_it_runs_and_gets_no_more(
    sqlite_gateway: Gateway, houses: Any, customer: Customer, *, stream: bool
) -> None:
    first, second = houses
    first.vendor.says(*[Reply(text="word " * 20, wait_after=3)] * 8)
    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(chat, sqlite_gateway, customer.key, stream=stream) for _ in range(8)]
        wait_until(lambda: first.calls == 8)
        first.change(drain_provider)
        later = [chat(sqlite_gateway, customer.key).status_code for _ in range(5)]
        first.vendor.go_on()
        texts = [text_of(events_of(future.result().text)) for future in running]

    assert later == [200] * 5
    assert (first.calls, second.calls) == (8, 5)
    assert texts == ["word " * 20] * 8
    books_agree(sqlite_gateway, customer)

    first.change(resume_provider)
    chat(sqlite_gateway, customer.key)
    assert first.calls == 9


def test_more_calls_than_a_provider_takes_go_to_the_next(
    sqlite_gateway: Gateway, houses: Any, customer: Customer
) -> None:
    first, second = houses
    first.change(set_parallel, parallel_requests=2)
    first.vendor.says(*[Reply(wait_after=0)] * 2)
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(chat, sqlite_gateway, customer.key) for _ in range(2)]
        wait_until(lambda: first.calls == 2)

        third = chat(sqlite_gateway, customer.key)

        first.vendor.go_on()
        assert [future.result().status_code for future in running] == [200, 200]
    assert (third.status_code, first.calls, second.calls) == (200, 2, 1)


def test_where_there_is_no_other_route_calls_wait_for_room(
    sqlite_gateway: Gateway, vendors: list[FakeOpenAI], customer: Customer
) -> None:
    only = House(sqlite_gateway, vendors[0], priority=1)
    only.change(set_parallel, parallel_requests=1)

    def call() -> int:
        return int(chat(sqlite_gateway, customer.key).status_code)

    only.vendor.answers("", Reply(first_pause_s=0.03))
    statuses = at_once(8, call)

    assert statuses == [200] * 8
    assert only.calls == 8
    assert sqlite_gateway.app.router.provider_condition(2).running == 0
    books_agree(sqlite_gateway, customer)


def test_who_waits_in_vain_is_told_when_to_come_back(
    sqlite_gateway: Gateway,
    vendors: list[FakeOpenAI],
    customer: Customer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("altyn.upstream.router.WAIT_FOR_ROOM_S", 0.05)
    only = House(sqlite_gateway, vendors[0], priority=1)
    only.change(set_parallel, parallel_requests=1)
    only.vendor.says(Reply(wait_after=0))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(chat, sqlite_gateway, customer.key)
        wait_until(lambda: only.calls == 1)

        answer = chat(sqlite_gateway, customer.key)

        only.vendor.go_on()
        assert running.result().status_code == 200
    assert (answer.status_code, exact(answer)["error"]["code"]) == (503, "overloaded")
    assert answer.headers["retry-after"] == "1"
    books_agree(sqlite_gateway, customer)


# Strategies -----------------------------------------------------------------------------------


def takes(gateway: Gateway, house: House, nanos: int) -> None:
    price = Price(input=nanos, output=nanos)
    gateway.write(
        lambda tx: add_price(tx, model_id=MODEL, kind="cost", price=price, provider=house.name)
    )


def test_the_cheapest_route_is_asked_by_strategy_or_suffix(
    sqlite_gateway: Gateway, houses: Any, customer: Customer
) -> None:
    first, second = houses
    takes(sqlite_gateway, first, 9_000)
    takes(sqlite_gateway, second, 5_000)
    chat(sqlite_gateway, customer.key)
    assert (first.calls, second.calls) == (1, 0)

    answer = chat(sqlite_gateway, customer.key, model=f"{MODEL}:floor")
    assert exact(answer)["model"] == MODEL
    assert (first.calls, second.calls) == (1, 1)

    sqlite_gateway.write(lambda tx: set_strategy(tx, model_id=MODEL, strategy="price"))
    chat(sqlite_gateway, customer.key)
    assert (first.calls, second.calls) == (1, 2)
    charges = {card["cost"] for card in books_agree(sqlite_gateway, customer)}
    assert len(charges) == 1


def test_the_quickest_route_is_asked_by_suffix(
    sqlite_gateway: Gateway, houses: Any, customer: Customer
) -> None:
    first, second = houses
    first.vendor.answers("", Reply(first_pause_s=0.1))
    quick = f"{MODEL}:nitro"
    for _ in range(2):  # each is measured once
        chat(sqlite_gateway, customer.key, model=quick, stream=True)

    for _ in range(3):
        chat(sqlite_gateway, customer.key, model=quick, stream=True)

    assert (first.calls, second.calls) == (1, 4)


def test_a_variant_that_is_not_offered_is_refused_by_its_name(
    sqlite_gateway: Gateway, houses: Any, customer: Customer
) -> None:
    answer = chat(sqlite_gateway, customer.key, model=f"{MODEL}:online")

    error = exact(answer)["error"]
    assert (answer.status_code, error["code"], error["param"]) == (
        400,
        "invalid_parameter",
        "model",
    )
    assert f"{MODEL}:floor" in error["message"]
    assert houses[0].calls == 0
