"""Every setting there is, in the order of the reference: its form, its default, what it is."""

from msgspec import Struct

from altyn.setting_forms import (
    CLIENT,
    CONTACT,
    CURRENCY,
    DATABASE,
    HOME,
    HOST,
    ISSUER,
    LINK,
    MAIL,
    NAME,
    NETWORKS,
    REDIS,
    SMTP,
    TOKEN,
    WEB_URL,
    Form,
    choice,
    number,
    seconds,
)

PREFIX = "ALTYN_"


class SettingDoc(Struct, frozen=True, kw_only=True):
    """One setting, as the reference shows it.

    `default` is text as one would write it, and may name settings above it in braces; None where
    there is no value unless one is set. A secret setting is never shown whole.
    """

    name: str
    form: Form
    default: str | None
    text: str
    secret: bool = False

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()


_ANY_AMOUNT = 1_000_000_000

SETTINGS: tuple[SettingDoc, ...] = (
    SettingDoc(
        name="home",
        form=HOME,
        default="./var",
        text="The directory of everything that is kept: database, secret.key, altyn.toml.",
    ),
    SettingDoc(
        name="host",
        form=HOST,
        default="127.0.0.1",
        text="The address to listen on. 0.0.0.0 is every interface; put TLS in front of it.",
    ),
    SettingDoc(
        name="port",
        form=number(0, 65535),
        default="8080",
        text="The port to listen on; 0 takes a free one.",
    ),
    SettingDoc(
        name="workers",
        form=number(1, 256),
        default="1",
        text="How many processes serve. More than one needs PostgreSQL.",
    ),
    SettingDoc(
        name="database_url",
        form=DATABASE,
        default="sqlite:///{home}/altyn.db",
        text="Where the money and everything else is stored: SQLite or PostgreSQL.",
        secret=True,
    ),
    SettingDoc(
        name="public_url",
        form=WEB_URL,
        default="http://{host}:{port}",
        text="The address customers see, used in links.",
    ),
    SettingDoc(
        name="currency",
        form=CURRENCY,
        default="USD",
        text="The one currency of this installation. Set it before the first deposit.",
    ),
    SettingDoc(
        name="language",
        form=choice("en", "ru"),
        default="en",
        text="The language of messages when a caller does not ask for one.",
    ),
    SettingDoc(
        name="prices_shown_to",
        form=choice("everybody", "members"),
        default="everybody",
        text="Who sees models and prices in the browser: everybody, or members, who signed in.",
    ),
    SettingDoc(
        name="log_level",
        form=choice("debug", "info", "warning", "error"),
        default="info",
        text="The least important events that are logged.",
    ),
    SettingDoc(
        name="log_format",
        form=choice("auto", "json", "text"),
        default="auto",
        text="How logs are written; auto is text to a terminal and JSON elsewhere.",
    ),
    SettingDoc(
        name="playground_limit",
        form=number(0, _ANY_AMOUNT),
        default="10",
        text="What an account may spend a day in the playground, in whole units; 0 is no limit.",
    ),
    SettingDoc(
        name="redis_url",
        form=REDIS,
        default=None,
        text="Redis or Valkey to share rate limits between processes. Money never depends on it.",
        secret=True,
    ),
    SettingDoc(
        name="top_up_url",
        form=WEB_URL,
        default="{public_url}/billing",
        text="Where a customer without money is sent.",
    ),
    SettingDoc(
        name="requests_per_minute",
        form=number(0, _ANY_AMOUNT),
        default="3000",
        text="Requests an account may make a minute, unless it has its own limit; 0 is no limit.",
    ),
    SettingDoc(
        name="tokens_per_minute",
        form=number(0, _ANY_AMOUNT),
        default="0",
        text="Tokens an account may use a minute, unless it has its own limit; 0 is no limit.",
    ),
    SettingDoc(
        name="parallel_requests",
        form=number(0, _ANY_AMOUNT),
        default="256",
        text="Requests an account may run at once, unless it has its own limit; 0 is no limit.",
    ),
    SettingDoc(
        name="body_limit_bytes",
        form=number(1024, 1024**3),
        default="16777216",
        text="The largest request body that is read.",
    ),
    SettingDoc(
        name="connect_timeout_s",
        form=seconds(0.01, 600),
        default="5",
        text="How long an upstream may take to accept a connection.",
    ),
    SettingDoc(
        name="first_event_timeout_s",
        form=seconds(0.01, 3600),
        default="60",
        text="How long an upstream may take to begin an answer.",
    ),
    SettingDoc(
        name="reasoning_first_event_timeout_s",
        form=seconds(0.01, 3600),
        default="600",
        text="The same for models that think before they speak, and between what they say.",
    ),
    SettingDoc(
        name="idle_timeout_s",
        form=seconds(0.01, 3600),
        default="120",
        text="How long an upstream may pause in the middle of an answer.",
    ),
    SettingDoc(
        name="attempt_timeout_s",
        form=seconds(0.01, 86_400),
        default="840",
        text="How long one call to one upstream may take in all.",
    ),
    SettingDoc(
        name="route_strategy",
        form=choice("priority", "price", "latency"),
        default="priority",
        text="Which route is asked first, unless a model has its own way: by priority and weight,"
        " the cheapest, or the quickest of late.",
    ),
    SettingDoc(
        name="drain_after_leave_s",
        form=seconds(0, 3600),
        default="120",
        text="How long an answer is read on for its usage after the caller has left.",
    ),
    SettingDoc(
        name="drain_after_leave_max",
        form=number(0, 100_000),
        default="64",
        text="How many such answers a process reads on at once.",
    ),
    SettingDoc(
        name="shutdown_grace_s",
        form=seconds(0, 3600),
        default="30",
        text="How long running requests may take to finish when the server stops.",
    ),
    SettingDoc(
        name="trusted_proxies",
        form=NETWORKS,
        default="127.0.0.1,::1",
        text="Reverse proxies whose X-Forwarded-For is believed.",
    ),
    SettingDoc(
        name="sign_up",
        form=choice("open", "invite", "closed"),
        default="open",
        text="Who may make an account in the cabinet: anybody, who has an invitation, or nobody.",
    ),
    SettingDoc(
        name="smtp_url",
        form=SMTP,
        default=None,
        text="The mail server. Without one, letters are written to letters.txt in the home.",
        secret=True,
    ),
    SettingDoc(
        name="mail_from",
        form=MAIL,
        default="altyn@localhost",
        text="The address letters come from.",
    ),
    SettingDoc(
        name="support_contact",
        form=CONTACT,
        default=None,
        text="Where customers ask for help: shown below every page and where something is wrong.",
    ),
    SettingDoc(
        name="terms_url",
        form=LINK,
        default=None,
        text="Your terms of use: linked below every page, and agreed to by whoever signs up.",
    ),
    SettingDoc(
        name="privacy_url",
        form=LINK,
        default=None,
        text="Your privacy policy: linked below every page, and agreed to by whoever signs up.",
    ),
    SettingDoc(
        name="oidc_issuer",
        form=ISSUER,
        default=None,
        text="The OpenID Connect provider through which people may sign in. Without one: nobody.",
    ),
    SettingDoc(
        name="oidc_client_id",
        form=CLIENT,
        default=None,
        text="What this place is called at that provider. Both are set, or neither.",
    ),
    SettingDoc(
        name="oidc_client_secret",
        form=CLIENT,
        default=None,
        text="What proves it there; a public client has none.",
        secret=True,
    ),
    SettingDoc(
        name="oidc_name",
        form=NAME,
        default=None,
        text="The provider's name on the button; without it, its host.",
    ),
    SettingDoc(
        name="metrics_token",
        form=TOKEN,
        default=None,
        text="The bearer token of GET /metrics; without it one is made and kept in the home.",
        secret=True,
    ),
)
"""Every setting, in the order of the reference."""
