import re

import pytest

from altyn.cli import serve
from altyn.control.models import Ending
from altyn.control.start import Start
from altyn.keys.key import KEY_PATTERN, mint
from altyn.settings import read_settings


def greet(
    home, *, test_key=None, owner_ticket=None, providers=(), moved_from=0, endings=(), **options
):
    settings = read_settings({}, home=home, overrides=options)
    start = Start(
        revision_before=None,
        revision="0002",
        models_added=29,
        vendors=(),
        providers=providers,
        test_key=test_key,
        owner_ticket=owner_ticket,
        endings=endings,
    )
    serve._greet(settings, start, moved_from=moved_from)


def test_a_person_at_the_terminal_sees_the_key(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    key = mint("test")

    greet(tmp_path, test_key=key)

    assert capsys.readouterr().out.count(key) == 2
    assert not (tmp_path / "first-steps.txt").exists()


def test_a_log_never_gets_the_key(tmp_path, capsys):
    key = mint("test")

    greet(tmp_path, test_key=key)

    assert not re.search(KEY_PATTERN, capsys.readouterr().out)
    assert key in (tmp_path / "first-steps.txt").read_text()


def test_the_link_that_makes_an_owner_is_seen_at_the_terminal_alone(tmp_path, capsys, monkeypatch):
    greet(tmp_path, owner_ticket="whoever-has-it-owns-it")
    in_log = capsys.readouterr().out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    greet(tmp_path, owner_ticket="whoever-has-it-owns-it")

    assert "whoever-has-it-owns-it" not in in_log
    assert "/setup?t=whoever-has-it-owns-it" in (tmp_path / "first-steps.txt").read_text()
    assert "/setup?t=whoever-has-it-owns-it" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"host": "0.0.0.0"}, "Warning: 0.0.0.0 can be reached from outside"),
        ({"currency": "RUB"}, "give them prices in RUB"),
        ({"moved_from": 8080, "port": "8081"}, "Port 8080 is taken: listening on 8081"),
        ({"providers": ("openai", "xai")}, "mode: openai, xai"),
        ({}, "mode: sandbox only"),
        ({"public_url": "https://ai.example.com"}, "https://ai.example.com/api/v1/external"),
    ],
)
def test_it_is_said_aloud(tmp_path, capsys, options, said):
    greet(tmp_path, **options)

    assert said in capsys.readouterr().out


def test_models_that_end_soon_are_named_and_those_that_have_ended_are_not(tmp_path, capsys):
    endings = [
        Ending(model=f"a/{when}", retires_at="2026-12-11", retired=retired, replaced_by=None)
        for when, retired in (("soon", False), ("past", True))
    ]

    greet(tmp_path, endings=tuple(endings))

    said = capsys.readouterr().out
    assert "Warning: vendors retire a/soon on 2026-12-11." in said
    assert "a/past" not in said


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_at_home_nobody_is_warned(tmp_path, capsys, host):
    greet(tmp_path, host=host)

    assert "Warning" not in capsys.readouterr().out


def test_a_port_is_chosen_by_variable_or_file_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("ALTYN_PORT", raising=False)
    unset = serve._is_port_set(tmp_path)
    (tmp_path / "altyn.toml").write_text("port = 8080\n")
    in_file = serve._is_port_set(tmp_path)
    monkeypatch.setenv("ALTYN_PORT", "8080")

    assert (unset, in_file, serve._is_port_set(tmp_path / "elsewhere")) == (False, True, True)
