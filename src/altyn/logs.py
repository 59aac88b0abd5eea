"""Logs: one line for each thing worth knowing, JSON for machines or text for a terminal.

No line holds a prompt, an answer or a secret. What slips into a message all the same, such as a key
quoted by a vendor, is masked here, at the one place that every line passes.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from altyn.settings import Settings

SECRETS = re.compile(
    r"\b(sk|pk|xai|gsk)[-_][A-Za-z0-9_\-]{8,}|\bAIza[\w-]{10,}|(?<=Bearer )\S+|://[^/\s:@]+:[^/\s@]+@",
    re.ASCII,
)
MASK = "…masked…"


def set_up_logs(settings: Settings) -> None:
    """Send every log of this process, ours and the libraries', to standard error in one form."""
    as_json = settings.log_format == "json" or (
        settings.log_format == "auto" and not sys.stderr.isatty()
    )
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        mask_secrets,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    # uvicorn tells a failed start in two lines of its own; the command line tells it in one.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)


def mask_secrets(
    _logger: Any, _name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = SECRETS.sub(MASK, value)
    return event
