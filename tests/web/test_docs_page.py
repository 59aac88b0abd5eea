"""The documentation: the words of the public page, tables that are true, and examples to run."""

import gzip
import re
from typing import get_type_hints

import httpx
import msgspec
import pytest
from browser import LOOKS, assert_accessible, assert_fits
from people import Person, sign_in

from altyn.api import wire
from altyn.api.openapi import FILTERS
from altyn.chat import ChatBody
from altyn.error_texts import MESSAGES
from altyn.gateway.refusals import list_api_errors
from altyn.web import manual
from altyn.web.assets import read_asset

SONNET = "anthropic/claude-sonnet-4.5"

PUBLIC = """API Документация
Базовый URL
Интегрируйте AI модели в свои приложения через простой REST API
External API предоставляет доступ к AI моделям через REST API с аутентификацией по API ключам.
Все запросы требуют API ключ в заголовке Authorization:
Authorization: Bearer sk_live_your_api_key_here
API ключи создаются в личном кабинете пользователя в разделе "API Ключи".
sk_live_[48 случайных символов]
Отправка сообщения и получение полного ответа (синхронно)
Параметр
Тип
Описание
ID модели (обязательно)
Массив сообщений (обязательно)
0-2, по умолчанию 0.7
1-8192, по умолчанию 2048
Потоковая отправка ответа через Server-Sent Events (SSE)
Параметры запроса такие же как для /chat/completions
Получение списка доступных моделей
Получение текущего баланса пользователя
Получение статистики использования API с фильтрацией и пагинацией
При возникновении вопросов или проблем:""".splitlines()
"""What the captured page says, and its title."""


@pytest.fixture
def russian(cabinet):
    with Person(cabinet, language="ru") as reader:
        yield reader


def words_of(page):
    return page.locator("main").inner_text()


@pytest.mark.parametrize("path", ["/docs", "/api-documentation"])
def test_the_page_says_what_the_public_page_says(russian, open_page, path):
    said = words_of(open_page(russian, path))

    assert [sentence for sentence in PUBLIC if sentence not in said] == []


def test_what_the_public_page_says_stands_in_its_order(russian, open_page):
    said = words_of(open_page(russian, "/docs"))

    places = [said.index(sentence) for sentence in PUBLIC if len(sentence) > 30]
    assert len(places) > 8
    # The captured page begins with what stands in its head.
    assert places[1:] == sorted(places[1:])


# Tables that are true ----------------------------------------------------------------------------


def test_every_parameter_of_a_chat_is_told():
    told = [entry.name for entry in (*manual.FIRST_PARAMETERS, *manual.MORE_PARAMETERS)]

    assert sorted(told) == sorted(get_type_hints(ChatBody))


def test_every_filter_of_usage_is_told():
    assert [entry.name for entry in manual.USAGE_FILTERS] == [name for name, _, _ in FILTERS]


def test_every_code_of_an_error_is_told_with_its_status(stranger):
    text = stranger.get("/docs").text

    for error in list_api_errors():
        row = re.search(rf"<tr>(?:(?!</tr>).)*error-{error.code}\".*?</tr>", text, re.DOTALL)
        assert row is not None, error.code
        assert f">{error.status}<" in row[0]
    assert len(list_api_errors()) == len(MESSAGES) - 1  # one is the operator's


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("answer", wire.ChatCompletion),
        ("balance", wire.BalanceCard),
        ("usage", wire.UsageList),
        ("error", wire.ErrorBody),
    ],
)
def test_a_sample_has_the_form_of_what_is_sent(name, kind):
    sample = msgspec.json.decode(manual.SAMPLES[name])

    answer = msgspec.json.decode(manual.SAMPLES[name], type=kind)
    shown = msgspec.json.decode(msgspec.json.encode(answer))

    if name == "error":
        assert shown["error"].items() <= sample["error"].items()
    else:
        assert shown == sample


def test_every_header_of_an_answer_is_told(cabinet):
    customer = cabinet.add_customer()
    answer = httpx.post(
        f"{cabinet.base}/chat/completions",
        json={"model": "sandbox/echo", "messages": [{"role": "user", "content": "x"}], "odd": 1},
        headers={"authorization": f"Bearer {customer.test_key}"},
    )

    told = {entry.name.lower() for entry in manual.HEADERS}
    own = {name for name in answer.headers if name.startswith("x-") and "content" not in name}
    assert own == told - {"retry-after"}


# Run ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("example", "says"),
    [
        ("first", "Hello!"),
        ("chat", "Hello!"),
        ("stream", "[DONE]"),
        ("models", "sandbox/echo"),
        ("balance", "total_deposited"),
        ("usage", "group_by"),
        ("key", '"name":"Playground"'),
    ],
)
def test_an_example_runs_for_whoever_is_signed_in_for_nothing(cabinet, customer, example, says):
    answer = customer.post(f"/docs/run/{example}")

    assert answer.status_code == 200
    assert says in answer.text
    assert answer.headers["x-request-id"].startswith("req_")
    charged = cabinet.read(
        "SELECT COUNT(*) FROM usage_records WHERE account_id = $1 AND charge_nanos > 0",
        customer.account_id,
    )
    assert charged == [(0,)] or charged[0][0] == 0


def test_what_is_run_is_counted_with_the_account_as_a_test(cabinet, customer):
    customer.post("/docs/run/chat")
    cabinet.wait_until_idle()

    rows = cabinet.read(
        "SELECT u.mode, k.name, k.limit_nanos, k.limit_period FROM usage_records u"
        " JOIN keys k ON k.id = u.key_id WHERE u.account_id = $1",
        customer.account_id,
    )
    assert [tuple(row) for row in rows] == [("test", "Playground", 10_000_000_000, "day")]


def test_a_stranger_runs_nothing(stranger):
    assert stranger.post("/docs/run/chat").status_code == 303
    assert "/docs/run/" not in stranger.get("/docs").text


def test_there_is_no_example_of_another_name(customer):
    assert customer.post("/docs/run/nothing").status_code == 404


def test_an_answer_speaks_the_language_that_was_chosen(cabinet):
    with sign_in(cabinet, language="ru") as reader:
        assert "Привет!" in reader.post("/docs/run/first").text


# In a browser ------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "ru"])
def test_with_answers_and_open_parts_it_is_accessible(cabinet, open_page, language):
    with sign_in(cabinet, language=language) as reader:
        page = open_page(reader, "/docs")
        page.locator(".more-parameters > summary").click()
        for name in ("chat", "stream"):
            form = f"form[action^='/docs/run/{name}?']"
            page.locator(f"{form} button").click()
            page.locator(f"{form} + .result [data-took]:not(:empty)").wait_for()

        for theme, size in LOOKS[language]:
            page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            page.set_viewport_size(size)
            assert_accessible(page)
            assert_fits(page)


def test_one_choice_of_language_holds_for_all_examples_and_later(customer, open_page):
    page = open_page(customer, "/docs")

    page.get_by_role("tab", name="PHP").nth(2).click()
    shown = page.locator('[role="tab"][aria-selected="true"]').all_inner_texts()
    page.reload()
    later = page.locator('[role="tab"][aria-selected="true"]').all_inner_texts()

    assert set(shown) == set(later) == {"PHP"}
    assert page.locator("#example-models-php").is_visible()
    assert not page.locator("#example-models-curl").is_visible()


def test_without_scripts_all_five_stand_below_each_other(stranger, open_page):
    page = open_page(stranger, "/docs", java_script_enabled=False)

    for language in ("curl", "python", "openai", "javascript", "php"):
        assert page.locator(f"#example-chat-code-{language}").is_visible()


def test_an_example_is_copied_as_plain_text(stranger, open_page):
    page = open_page(stranger, "/docs", permissions=["clipboard-read", "clipboard-write"])

    page.locator("#example-chat-curl [data-copy]").click()
    page.locator("#example-chat-curl [data-label]", has_text="Copied").wait_for()

    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl -X POST http")
    assert copied.endswith("}'")


BUDGET = {"css": 25 * 1024, "js": 35 * 1024}


@pytest.mark.parametrize("path", ["/docs", "/models", f"/models/{SONNET}", "/app/playground"])
def test_a_page_keeps_within_its_budget(customer, path):
    text = customer.get(path).text
    weights = dict.fromkeys(BUDGET, 0)
    for name, kind in re.findall(r'(?:src|href)="/static/\w+/([\w./]+\.(css|js))"', text):
        weights[kind] += len(read_asset(name).packed)

    assert len(gzip.compress(text.encode(), 6)) < 20 * 1024
    assert all(0 < weights[kind] < most for kind, most in BUDGET.items())


def test_the_page_for_everybody_is_sent_compressed(stranger, customer):
    open_page, own = stranger.get("/docs"), customer.get("/docs")

    assert open_page.headers["content-encoding"] == "gzip"
    assert int(open_page.headers["content-length"]) < 20 * 1024
    assert "API Documentation" in open_page.text
    assert "content-encoding" not in own.headers
