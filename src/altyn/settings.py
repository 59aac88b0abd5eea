"""The settings, read once at start.

An option of the command line wins over the environment (`ALTYN_PORT`), this over `altyn.toml` in
the home (`port = 8080`), this over the default. A setting that nobody knows is an error: one that
is silently ignored is found after the damage. An empty value counts as not set.
"""

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from msgspec import Struct

from altyn.errors import SettingError
from altyn.setting_forms import HOME, MASK, mask_url
from altyn.setting_table import PREFIX, SETTINGS, SettingDoc

FILE = "altyn.toml"
_KNOWN = {doc.name: doc for doc in SETTINGS}


class Settings(Struct, frozen=True, kw_only=True):
    """What `SETTINGS` says, with values. A repr or a log of it holds no secret."""

    home: Path
    host: str
    port: int
    workers: int
    database_url: str
    public_url: str
    currency: str
    language: str
    prices_shown_to: str
    log_level: str
    log_format: str
    playground_limit: int
    redis_url: str | None
    top_up_url: str
    requests_per_minute: int
    tokens_per_minute: int
    parallel_requests: int
    body_limit_bytes: int
    connect_timeout_s: float
    first_event_timeout_s: float
    reasoning_first_event_timeout_s: float
    idle_timeout_s: float
    attempt_timeout_s: float
    route_strategy: Literal["priority", "price", "latency"]
    drain_after_leave_s: float
    drain_after_leave_max: int
    shutdown_grace_s: float
    trusted_proxies: str
    sign_up: str
    smtp_url: str | None
    mail_from: str
    support_contact: str | None
    terms_url: str | None
    privacy_url: str | None
    oidc_issuer: str | None
    oidc_client_id: str | None
    oidc_client_secret: str | None
    oidc_name: str | None
    metrics_token: str | None

    def masked(self) -> dict[str, Any]:
        """The settings as they may be shown to anybody."""
        return {doc.name: _shown(doc, getattr(self, doc.name)) for doc in SETTINGS}

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.masked().items())
        return f"Settings({shown})"

    # The command line's tracebacks show local variables by this one.
    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return list(self.masked().items())


def read_settings(
    environ: Mapping[str, str],
    *,
    home: Path | None = None,
    overrides: Mapping[str, str] = MappingProxyType({}),
) -> Settings:
    """Read every setting. `overrides` are command line options by setting name.

    Raises `SettingError` with one sentence on the first value or name that is wrong.
    """
    options = dict(overrides)
    if home is not None:
        options["home"] = str(home)
    given = {f"--{_dashed(name)}": (name, text) for name, text in options.items()}
    values = _read_given(given)
    _add(values, _read_environment(environ))
    if "home" not in values:
        values["home"] = HOME.read(_KNOWN["home"].default or "")
    _add(values, _read_file(values["home"] / FILE))
    _add_defaults(values)
    settings = Settings(**values)
    _refuse_many_workers_on_sqlite(settings)
    _refuse_half_a_provider(settings)
    return settings


# Sources --------------------------------------------------------------------------------------


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    return _read_given(
        {
            variable: (variable.removeprefix(PREFIX).lower(), text)
            for variable, text in environ.items()
            if variable.startswith(PREFIX)
        }
    )


def _read_file(path: Path) -> dict[str, Any]:
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise SettingError(f"{path} is not valid TOML: {error}.") from None
    if "home" in written:
        raise SettingError(f"'home' cannot be set in {path}, which is already in the home.")
    return _read_given(
        {f"'{name}' in {path}": (name, _as_text(value)) for name, value in written.items()}
    )


def _as_text(value: object) -> str:
    """TOML has kinds; a setting has one form. A list or a flag is in none of them, by its look."""
    return repr(value) if isinstance(value, bool | list | dict) else str(value)


def _read_given(given: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Read settings by what they are called where they stand: label -> name, text."""
    values = {}
    for label, (name, text) in given.items():
        doc = _KNOWN.get(name)
        if doc is None:
            raise SettingError(f"{label} is not a setting.{_nearest(label, name)}")
        if text:
            values[name] = _read_value(doc, label, text)
    return values


def _nearest(label: str, name: str) -> str:
    near = difflib.get_close_matches(name, _KNOWN, n=1)
    if not near:
        return ""
    meant = near[0]
    if label.startswith(PREFIX):
        meant = _KNOWN[meant].variable
    elif label.startswith("--"):
        meant = f"--{_dashed(meant)}"
    return f" Did you mean {meant}?"


def _read_value(doc: SettingDoc, label: str, text: str) -> Any:
    try:
        return doc.form.read(text)
    except ValueError:
        # A wrong address may still hold the right password: it is not repeated.
        wrong = "" if doc.secret else f", not '{text}'"
        raise SettingError(f"{label} must be {doc.form.expected}{wrong}.") from None


def _add(values: dict[str, Any], weaker: Mapping[str, Any]) -> None:
    for name, value in weaker.items():
        values.setdefault(name, value)


def _add_defaults(values: dict[str, Any]) -> None:
    for doc in SETTINGS:
        if doc.name in values:
            continue
        named = {**values, "host": _host_in_link(values.get("host", ""))}
        values[doc.name] = doc.default and doc.form.read(doc.default.format(**named))


def _host_in_link(host: str) -> str:
    """Listening on every interface is not an address one can open; IPv6 wants brackets."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 -- compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def _refuse_many_workers_on_sqlite(settings: Settings) -> None:
    if settings.workers > 1 and settings.database_url.startswith("sqlite:"):
        raise SettingError(
            f"{settings.workers} workers need PostgreSQL, because only one process may write an "
            "SQLite file: set ALTYN_DATABASE_URL=postgresql://… or ALTYN_WORKERS=1."
        )


def _refuse_half_a_provider(settings: Settings) -> None:
    if (settings.oidc_issuer is None) != (settings.oidc_client_id is None):
        raise SettingError(
            "ALTYN_OIDC_ISSUER and ALTYN_OIDC_CLIENT_ID belong together: set both or neither."
        )


def _dashed(name: str) -> str:
    return name.replace("_", "-")


# Showing --------------------------------------------------------------------------------------


def _shown(doc: SettingDoc, value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if not doc.secret or value is None:
        return value
    return mask_url(value) if "://" in value else MASK
