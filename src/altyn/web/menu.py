"""What can be gone to from everywhere. An entry is shown once its page exists."""

from msgspec import Struct

from altyn.web.access import Access
from altyn.web.texts import N_


class Entry(Struct, frozen=True, kw_only=True):
    """One line of the menu. `key` goes there after `g`; `small`: also in a small screen's bar;
    `by_mode`: shows live calls or those of tests, whichever is chosen.
    """

    path: str
    label: str
    icon: str
    key: str = ""
    small: bool = False
    by_mode: bool = False
    access: Access = "signed_in"


class Group(Struct, frozen=True):
    label: str
    entries: tuple[Entry, ...]


MENU = (
    Group(
        "",
        (
            Entry(path="/app", label=N_("Overview"), icon="layout-dashboard", key="o", small=True),
            Entry(
                path="/app/keys",
                label=N_("API Keys"),
                by_mode=True,
                icon="key-round",
                key="k",
                small=True,
            ),
            Entry(
                path="/app/usage",
                label=N_("Usage"),
                by_mode=True,
                icon="chart-column",
                key="u",
                small=True,
            ),
            Entry(path="/app/requests", label=N_("Requests"), by_mode=True, icon="list", key="r"),
            Entry(path="/app/billing", label=N_("Balance"), icon="wallet", key="b", small=True),
        ),
    ),
    Group(
        N_("Build"),
        (
            Entry(path="/app/playground", label=N_("Playground"), icon="message-square", key="p"),
            Entry(path="/models", label=N_("Models"), icon="boxes", key="m"),
            Entry(path="/docs", label=N_("Documentation"), icon="book-open", key="d"),
        ),
    ),
    Group(
        N_("Account"),
        (Entry(path="/app/settings", label=N_("Settings"), icon="settings", key="s"),),
    ),
    Group(
        N_("Console"),
        (
            Entry(path="/admin/users", label=N_("Users"), icon="users", access="support"),
            Entry(path="/admin/codes", label=N_("Redeem codes"), icon="ticket", access="operator"),
            Entry(path="/admin/health", label=N_("Health"), icon="activity", access="support"),
        ),
    ),
)

PUBLIC = (MENU[1].entries[1], MENU[1].entries[2])
"""What strangers may look at too: models and documentation."""
