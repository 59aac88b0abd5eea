from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altyn.errors import SettingError
from altyn.setting_forms import mask_url
from altyn.setting_table import SETTINGS
from altyn.settings import Settings, read_settings


@pytest.fixture
def home(tmp_path):
    return tmp_path


def write_file(home, text):
    (home / "altyn.toml").write_text(text, encoding="utf-8")


def sentence_of(home, environ=None, **overrides):
    with pytest.raises(SettingError) as refused:
        read_settings(environ or {}, home=home, overrides=overrides)
    return str(refused.value)


def test_without_anything_set_the_defaults_hold(home):
    settings = read_settings({}, home=home)

    assert settings == Settings(
        home=home,
        host="127.0.0.1",
        port=8080,
        workers=1,
        database_url=f"sqlite:///{home}/altyn.db",
        public_url="http://127.0.0.1:8080",
        currency="USD",
        language="en",
        log_level="info",
        log_format="auto",
        prices_shown_to="everybody",
        playground_limit=10,
        redis_url=None,
        top_up_url="http://127.0.0.1:8080/billing",
        requests_per_minute=3000,
        tokens_per_minute=0,
        parallel_requests=256,
        body_limit_bytes=16 * 1024 * 1024,
        connect_timeout_s=5,
        first_event_timeout_s=60,
        reasoning_first_event_timeout_s=600,
        idle_timeout_s=120,
        attempt_timeout_s=840,
        route_strategy="priority",
        drain_after_leave_s=120,
        drain_after_leave_max=64,
        shutdown_grace_s=30,
        trusted_proxies="127.0.0.1,::1",
        sign_up="open",
        smtp_url=None,
        mail_from="altyn@localhost",
        support_contact=None,
        terms_url=None,
        privacy_url=None,
        oidc_issuer=None,
        oidc_client_id=None,
        oidc_client_secret=None,
        oidc_name=None,
        metrics_token=None,
    )


def test_the_table_and_the_struct_name_the_same_settings():
    assert tuple(doc.name for doc in SETTINGS) == Settings.__struct_fields__


def test_every_setting_is_explained_in_a_sentence():
    assert [doc.name for doc in SETTINGS if not doc.text.endswith(".")] == []


def test_the_home_is_var_here_when_nobody_says_otherwise(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    assert read_settings({}).home == tmp_path / "var"


def test_the_home_comes_from_the_environment(tmp_path):
    assert read_settings({"ALTYN_HOME": str(tmp_path)}).home == tmp_path


def test_an_option_wins_over_the_home_of_the_environment(tmp_path):
    settings = read_settings({"ALTYN_HOME": "/nowhere"}, home=tmp_path)

    assert settings.home == tmp_path


def test_a_home_in_a_user_s_directory_is_found():
    settings = read_settings({}, overrides={"home": "~/altyn"})

    assert settings.home == Path.home() / "altyn"


def test_an_option_wins_over_the_environment_and_this_over_the_file(home):
    write_file(home, 'port = 1\nhost = "file"\nlanguage = "ru"')
    environ = {"ALTYN_PORT": "2", "ALTYN_HOST": "environment"}

    settings = read_settings(environ, home=home, overrides={"port": "3"})

    assert (settings.port, settings.host, settings.language) == (3, "environment", "ru")


def test_an_empty_value_counts_as_not_set(home):
    write_file(home, "port = 1")

    settings = read_settings({"ALTYN_PORT": "", "ALTYN_REDIS_URL": ""}, home=home)

    assert (settings.port, settings.redis_url) == (1, None)


def test_an_unknown_variable_is_named_with_the_nearest_known(home):
    sentence = sentence_of(home, {"ALTYN_PROT": "1"})

    assert sentence == "ALTYN_PROT is not a setting. Did you mean ALTYN_PORT?"


def test_an_unknown_variable_near_to_nothing_is_named(home):
    assert sentence_of(home, {"ALTYN_XYZZY": "1"}) == "ALTYN_XYZZY is not a setting."


def test_variables_of_others_are_left_alone(home):
    assert read_settings({"PORT": "abc", "OPENAI_API_KEY": "sk-1"}, home=home).port == 8080


def test_an_unknown_word_in_the_file_is_named_with_the_nearest_known(home):
    write_file(home, "worker = 2")

    assert sentence_of(home) == (
        f"'worker' in {home}/altyn.toml is not a setting. Did you mean workers?"
    )


def test_an_unknown_option_is_named_with_the_nearest_known(home):
    sentence = sentence_of(home, public_ulr="http://a")

    assert sentence == "--public-ulr is not a setting. Did you mean --public-url?"


def test_a_file_that_is_not_toml_is_named(home):
    write_file(home, "port: 8080")

    assert sentence_of(home).startswith(f"{home}/altyn.toml is not valid TOML: ")


def test_a_file_that_is_not_text_is_named(home):
    (home / "altyn.toml").write_bytes(b"\xff")

    assert sentence_of(home).startswith(f"{home}/altyn.toml is not valid TOML: ")


def test_the_home_cannot_be_set_inside_the_home(home):
    write_file(home, 'home = "/elsewhere"')

    assert "cannot be set" in sentence_of(home)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("port = true", "must be a number from 0 to 65535, not 'True'."),
        ("port = [1]", "must be a number from 0 to 65535, not '[1]'."),
        ("port = 1.5", "must be a number from 0 to 65535, not '1.5'."),
        ("[port]", "must be a number from 0 to 65535, not '{}'."),
    ],
)
def test_a_value_of_the_wrong_kind_in_the_file_is_refused(home, written, sentence):
    write_file(home, written)

    assert sentence_of(home) == f"'port' in {home}/altyn.toml {sentence}"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("port", "abc", "a number from 0 to 65535"),
        ("port", "65536", "a number from 0 to 65535"),
        ("port", "-1", "a number from 0 to 65535"),
        ("port", "８０", "a number from 0 to 65535"),
        ("port", "9" * 5000, "a number from 0 to 65535"),
        ("workers", "0", "a number from 1 to 256"),
        ("host", "a b", "a host name or an address"),
        ("public_url", "example.com", "an address such as https://ai.example.com"),
        ("public_url", "ftp://example.com", "an address such as https://ai.example.com"),
        ("currency", "DOLLAR", "three letters such as USD"),
        ("language", "de", "one of en, ru"),
        ("log_level", "INFO!", "one of debug, info, warning, error"),
        ("idle_timeout_s", "0", "a number of seconds from 0.01 to 3600"),
        ("idle_timeout_s", "nan", "a number of seconds from 0.01 to 3600"),
        ("idle_timeout_s", "1e9", "a number of seconds from 0.01 to 3600"),
        ("trusted_proxies", "*", "addresses or networks with commas between"),
        *(
            (name, text, "an https:// link")
            for name in ("terms_url", "privacy_url")
            for text in ("terms", "http://shop.example/t", "javascript:x", "https://", "a@b.c")
        ),
        *(
            ("support_contact", text, "an e-mail address or an https:// link")
            for text in ("help", "http://help.example", "javascript:x@y", "a@b?bcc=c@d", "https://")
        ),
    ],
)
def test_a_value_of_the_wrong_form_is_refused_in_one_sentence(home, name, text, expected):
    variable = f"ALTYN_{name.upper()}"

    assert sentence_of(home, {variable: text}) == f"{variable} must be {expected}, not '{text}'."


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("database_url", "mysql://user:hunter2@host/name"),
        ("database_url", "postgres://user:hunter2@host/name"),
        ("database_url", "sqlite://hunter2.db"),
        ("database_url", "sqlite:///:memory:"),
        ("redis_url", "http://:hunter2@host"),
        ("metrics_token", "hunter2"),
    ],
)
def test_a_secret_of_the_wrong_form_is_not_repeated(home, name, text):
    variable = f"ALTYN_{name.upper()}"

    sentence = sentence_of(home, {variable: text})

    assert sentence.startswith(f"{variable} must be ")
    assert "hunter2" not in sentence


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("currency", "rub", "RUB"),
        ("public_url", "https://ai.example.com/", "https://ai.example.com"),
        ("public_url", "https://example.com/ai/", "https://example.com/ai"),
        ("idle_timeout_s", "0.25", 0.25),
        ("shutdown_grace_s", "0", 0),
        ("database_url", "postgresql://a@b/c", "postgresql://a@b/c"),
        ("redis_url", "rediss://:a@b:1/2", "rediss://:a@b:1/2"),
        ("trusted_proxies", "10.0.0.0/8, ::1", "10.0.0.0/8, ::1"),
        ("parallel_requests", "0", 0),
        ("terms_url", "https://shop.example/terms?v=3#top", "https://shop.example/terms?v=3#top"),
    ],
)
def test_a_value_of_the_right_form_is_taken(home, name, text, value):
    settings = read_settings({f"ALTYN_{name.upper()}": text}, home=home)

    assert getattr(settings, name) == value


@pytest.mark.parametrize(
    ("host", "public_url"),
    [
        ("0.0.0.0", "http://127.0.0.1:9000"),
        ("::", "http://127.0.0.1:9000"),
        ("::1", "http://[::1]:9000"),
        ("altyn.local", "http://altyn.local:9000"),
    ],
)
def test_the_public_address_is_one_that_opens(home, host, public_url):
    settings = read_settings({}, home=home, overrides={"host": host, "port": "9000"})

    assert settings.public_url == public_url
    assert settings.top_up_url == f"{public_url}/billing"


def test_many_workers_on_sqlite_are_refused_in_one_sentence(home):
    assert sentence_of(home, {"ALTYN_WORKERS": "4"}) == (
        "4 workers need PostgreSQL, because only one process may write an SQLite file: "
        "set ALTYN_DATABASE_URL=postgresql://… or ALTYN_WORKERS=1."
    )


def test_many_workers_on_postgresql_are_fine(home):
    environ = {"ALTYN_WORKERS": "4", "ALTYN_DATABASE_URL": "postgresql://localhost/altyn"}

    assert read_settings(environ, home=home).workers == 4


SECRETS = {
    "ALTYN_DATABASE_URL": "postgresql://altyn:hunter2@db/altyn?sslpassword=hunter2",
    "ALTYN_REDIS_URL": "redis://:hunter2@cache:6379/0",
    "ALTYN_METRICS_TOKEN": "hunter2hunter2hunter2",
}


def test_a_secret_is_not_in_anything_that_is_shown(home):
    settings = read_settings(SECRETS, home=home)

    shown = f"{settings} {settings!r} {settings.masked()} {list(settings.__rich_repr__())}"

    assert "hunter2" not in shown
    assert "postgresql://altyn:***@db/altyn?sslpassword=***" in shown
    assert "redis://:***@cache:6379/0" in shown


def test_what_is_shown_names_every_setting(home):
    assert list(read_settings({}, home=home).masked()) == [doc.name for doc in SETTINGS]


@given(password=st.text(st.characters(codec="utf-8", exclude_characters="*\n"), min_size=4))
def test_no_password_survives_masking(password):
    url = f"postgresql://altyn:{password}@db/altyn"

    assert mask_url(url) == "postgresql://altyn:***@db/altyn"


def test_an_address_without_a_password_is_shown_as_it_is():
    assert mask_url("sqlite:////var/lib/altyn/altyn.db") == "sqlite:////var/lib/altyn/altyn.db"
