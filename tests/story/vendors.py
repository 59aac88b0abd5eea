"""The vendors of the catalog, each a fake behind its own real address.

`reaching` puts the fakes where the network would be: what is dialled for `api.openai.com` arrives
at one on loopback, without TLS. All above that is what runs at an operator's: the variable of the
environment, the provider and the routes that arise from it, and how this host wants to be asked.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from altyn.catalog.model import Model, builtin_models
from altyn.upstream import dial
from altyn.upstream.provider import VENDORS
from fakes import anthropic_server, gemini_server, openai_server
from fakes.anthropic_server import FakeAnthropic
from fakes.gemini_server import FakeGemini
from fakes.openai_server import FakeOpenAI
from fakes.responses_server import FakeResponses

KEY = "sk-vendor-0123456789"
CACHED = 2
TOOL = ("weather", '{"city": "Rome"}')


class Vendor(NamedTuple):
    """A vendor by its name at ours: how to make its fake, and how to make that say something."""

    name: str
    fake: Callable[[tuple[str, ...]], FakeOpenAI]
    text: Callable[[str], Any]
    calls: Callable[[], Any]
    cached: int = CACHED
    """Tokens of a prompt that its texts are said to have read from a cache."""

    @property
    def host(self) -> str:
        return urlsplit(self.base_url).hostname or ""

    @property
    def base_url(self) -> str:
        return next(known.base_url for known in VENDORS if known.name == self.name)

    @property
    def variable(self) -> str:
        return next(known.variable for known in VENDORS if known.name == self.name)

    def models(self) -> tuple[str, ...]:
        """What it serves, by its own names: also what it has retired, for who asks it of a fake."""
        if self.name == "openrouter":
            return tuple(m.openrouter_model for m in builtin_models() if m.openrouter_model)
        return tuple(
            model.native.model
            for model in builtin_models()
            if model.native is not None and model.native.provider == self.name
        )


def _openai_like(style: str, root: str = "/v1") -> Callable[[tuple[str, ...]], FakeOpenAI]:
    return lambda models: FakeOpenAI(style, key=KEY, models=models, root=root)


def _text(text: str) -> openai_server.Reply:
    return openai_server.Reply(text=text, reasoning_tokens=5, cached_tokens=CACHED)


def _calls() -> openai_server.Reply:
    return openai_server.Reply(text="", tools=(TOOL,), reasoning_tokens=3)


def _gemini_text(text: str) -> gemini_server.Reply:
    return gemini_server.Reply(text=text, reasoning_tokens=5, cached_tokens=CACHED)


def _gemini_calls() -> gemini_server.Reply:
    return gemini_server.Reply(text="", calls=(("weather", {"city": "Rome"}),), reasoning_tokens=3)


def _claude_text(text: str) -> anthropic_server.Reply:
    return anthropic_server.Reply(text=text)


def _claude_calls() -> anthropic_server.Reply:
    return anthropic_server.Reply(text="", tools=(TOOL,))


def _openai(models: tuple[str, ...]) -> FakeOpenAI:
    """Both of its APIs at one address."""
    return FakeResponses(key=KEY, models=models)


def _anthropic(models: tuple[str, ...]) -> FakeOpenAI:
    return FakeAnthropic(key=KEY, models=models)


def _gemini(models: tuple[str, ...]) -> FakeOpenAI:
    return FakeGemini(key=KEY, models=models)


FAKES = (
    Vendor("openrouter", _openai_like("openrouter", "/api/v1"), _text, _calls),
    Vendor("openai", _openai, _text, _calls),
    Vendor("xai", _openai_like("xai"), _text, _calls),
    Vendor("dashscope", _openai_like("dashscope", "/compatible-mode/v1"), _text, _calls),
    Vendor("anthropic", _anthropic, _claude_text, _claude_calls, cached=0),
    Vendor("gemini", _gemini, _gemini_text, _gemini_calls),
)
OWN_SERVER = Vendor("vllm", _openai_like("vllm"), _text, _calls)
"""For the models that no API of their maker serves."""


@contextmanager
def reaching(ports: Mapping[str, int]) -> Iterator[None]:
    """Connections to these hosts arrive at these ports of loopback. To others there are none."""

    async def connect(origin: dial.Origin, connection: Any, _tls: Any) -> None:
        port = origin.port if origin.host == "127.0.0.1" else ports[origin.host]
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: connection, "127.0.0.1", port)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dial, "_connect", connect)
        yield


def native_vendor(model: Model) -> Vendor:
    """Who serves a model without OpenRouter."""
    provider = model.native.provider if model.native is not None else None
    return next((vendor for vendor in FAKES if vendor.name == provider), OWN_SERVER)
