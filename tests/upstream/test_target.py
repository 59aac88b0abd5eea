import pytest

from altyn.upstream.provider import Provider
from altyn.upstream.router import Target


def target(upstream_model, *, dialect="gemini", own=None):
    provider = Provider(
        id=1, name="p", dialect=dialect, base_url="http://h", secret=None, proxy_url=None
    )
    return Target(route_id=1, provider=provider, upstream_model=upstream_model, dialect=own)


@pytest.mark.parametrize(
    ("asked", "answered", "passed_on"),
    [
        ("gemini-2.5-pro", "gemini-3.8-flash", True),
        ("gemini-2.5-flash-lite", "gemini-2.5-flash", True),
        ("gemini-2.5-pro", "gemini-2.5-pro", False),
        ("gemini-2.5-pro", "gemini-2.5-pro-002", False),
        ("models/gemini-2.5-pro", "gemini-2.5-pro", False),
        ("gemini-flash-latest", "gemini-3.8-flash", False),
        ("gemini-2.5-pro", None, False),
    ],
)
def test_google_is_seen_to_pass_a_name_on(asked, answered, passed_on):
    assert target(asked).passed_on_to(answered) is passed_on


def test_other_vendors_have_names_of_their_own():
    assert not target("x", dialect="openai-chat").passed_on_to("y")
    assert not target("x", own="openai-chat").passed_on_to("y")
    assert target("x", dialect="openai-chat", own="gemini").passed_on_to("y")
