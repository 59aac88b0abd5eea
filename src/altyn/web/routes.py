"""The cabinet's table of contents: every address, who may open it, and how often."""

from collections.abc import Awaitable, Callable
from typing import Literal

from msgspec import Struct
from starlette.responses import Response

from altyn.web.access import Access
from altyn.web.pages import (
    billing,
    choices,
    codes,
    docs,
    entrance,
    export,
    front,
    go,
    health,
    keys,
    models,
    new_email,
    oauth,
    overview,
    playground,
    redeem,
    requests,
    reset,
    settings,
    setup,
    two_steps,
    usage,
    users,
)
from altyn.web.rate import Limit
from altyn.web.visit import Visit

Page = Callable[[Visit], Awaitable[Response]]


class Route(Struct, frozen=True, kw_only=True):
    """One address. All three of page, access and limit are said for each, and read together."""

    method: Literal["GET", "POST"]
    path: str
    page: Page
    access: Access
    limit: Limit


LOOK = Limit(240)
"""A page that is looked at."""
TYPE = Limit(480)
"""A page that is asked for while somebody types."""
EXPORT = Limit(20)
"""A file that may be long."""
CHANGE = Limit(60)
"""A form that changes something."""
STRANGER = Limit(120, by="address")
"""A page for everybody."""
GUESS = Limit(10, by="address")
"""A form that could be used to guess: a password, an address, a link."""

GUESS_OF_PERSON = Limit(10)
"""The same for somebody who has signed in."""


def get(path: str, page: Page, access: Access, limit: Limit) -> Route:
    return Route(method="GET", path=path, page=page, access=access, limit=limit)


def post(path: str, page: Page, access: Access, limit: Limit) -> Route:
    return Route(method="POST", path=path, page=page, access=access, limit=limit)


ROUTES = (
    # For everybody
    get("/", front.show, "anybody", STRANGER),
    post("/choices", choices.save, "anybody", STRANGER),
    # Models and documentation
    get("/docs", docs.show, "anybody", STRANGER),
    get("/api-documentation", docs.show, "anybody", STRANGER),
    post("/docs/run/{example}", docs.run, "signed_in", CHANGE),
    get("/models", models.show_all, "anybody", STRANGER),
    get("/models/{model_id:path}", models.show, "anybody", STRANGER),
    # Coming in
    get("/login", entrance.show_login, "anybody", STRANGER),
    post("/login", entrance.log_in, "anybody", GUESS),
    post("/login/code", two_steps.check, "anybody", GUESS),
    get("/oauth/start", oauth.start, "anybody", STRANGER),
    get("/oauth/callback", oauth.come_back, "anybody", GUESS),
    post("/oauth/connect", oauth.connect_once, "anybody", GUESS),
    post("/oauth/agree", oauth.agree, "anybody", GUESS),
    get("/reset", reset.show, "anybody", STRANGER),
    post("/reset", reset.send, "anybody", GUESS),
    get("/reset/new", reset.show_new, "anybody", GUESS),
    post("/reset/new", reset.set_new, "anybody", GUESS),
    get("/verify", reset.show_verify, "anybody", GUESS),
    post("/verify", reset.verify, "anybody", GUESS),
    get("/email", new_email.show_link, "anybody", GUESS),
    post("/email", new_email.change, "anybody", GUESS),
    get("/signup", entrance.show_signup, "anybody", STRANGER),
    post("/signup", entrance.sign_up, "anybody", GUESS),
    post("/logout", entrance.log_out, "signed_in", CHANGE),
    get("/setup", setup.show, "anybody", GUESS),
    post("/setup", setup.set_up, "anybody", GUESS),
    # The cabinet
    get("/app", overview.show, "signed_in", LOOK),
    get("/app/go", go.show, "signed_in", TYPE),
    get("/app/redeem", redeem.show, "signed_in", LOOK),
    post("/app/redeem", redeem.send, "signed_in", GUESS_OF_PERSON),
    # Playground
    get("/app/playground", playground.show, "signed_in", LOOK),
    post("/app/playground/chat", playground.chat, "signed_in", CHANGE),
    post("/app/playground/code", playground.show_code, "signed_in", CHANGE),
    get("/app/playground/calls/{request_id}", playground.show_call, "signed_in", LOOK),
    # Keys
    get("/app/keys", keys.show_all, "signed_in", LOOK),
    get("/app/keys/new", keys.show_new, "signed_in", LOOK),
    post("/app/keys", keys.create, "signed_in", CHANGE),
    get("/app/keys/{key_id}/edit", keys.show_edit, "signed_in", LOOK),
    post("/app/keys/{key_id}/edit", keys.edit, "signed_in", CHANGE),
    get("/app/keys/{key_id}/rotate", keys.show_rotate, "signed_in", LOOK),
    post("/app/keys/{key_id}/rotate", keys.rotate, "signed_in", CHANGE),
    post("/app/keys/{key_id}/disable", keys.disable, "signed_in", CHANGE),
    post("/app/keys/{key_id}/enable", keys.enable, "signed_in", CHANGE),
    get("/app/keys/{key_id}/test", keys.show_test, "signed_in", LOOK),
    post("/app/keys/{key_id}/test", keys.send_test, "signed_in", CHANGE),
    get("/app/keys/{key_id}/revoke", keys.show_revoke, "signed_in", LOOK),
    post("/app/keys/{key_id}/revoke", keys.revoke, "signed_in", CHANGE),
    # Settings
    get("/app/settings", settings.show, "signed_in", LOOK),
    post("/app/settings/profile", settings.save_profile, "signed_in", CHANGE),
    get("/app/settings/password", settings.show_password, "signed_in", LOOK),
    post("/app/settings/password", settings.change_password, "signed_in", GUESS_OF_PERSON),
    get("/app/settings/email", new_email.show, "signed_in", LOOK),
    post("/app/settings/email", new_email.ask, "signed_in", GUESS_OF_PERSON),
    get("/app/settings/provider", oauth.show_disconnect, "signed_in", LOOK),
    post("/app/settings/provider", oauth.disconnect_it, "signed_in", GUESS_OF_PERSON),
    get("/app/settings/two-steps", two_steps.show_on, "signed_in", LOOK),
    post("/app/settings/two-steps", two_steps.switch_on, "signed_in", GUESS_OF_PERSON),
    post("/app/settings/two-steps/codes", two_steps.renew_codes, "signed_in", GUESS_OF_PERSON),
    get("/app/settings/two-steps/off", two_steps.show_off, "signed_in", LOOK),
    post("/app/settings/two-steps/off", two_steps.switch_off, "signed_in", GUESS_OF_PERSON),
    post("/app/settings/sessions/end", settings.end_other_sessions, "signed_in", CHANGE),
    post("/app/settings/sessions/{session_id}/end", settings.end_session, "signed_in", CHANGE),
    get("/app/settings/export", export.send, "signed_in", GUESS_OF_PERSON),
    get("/app/settings/close", settings.show_close, "signed_in", LOOK),
    post("/app/settings/close", settings.close, "signed_in", GUESS_OF_PERSON),
    # Usage and requests
    get("/app/usage", usage.show, "signed_in", LOOK),
    get("/app/usage.csv", usage.export, "signed_in", EXPORT),
    get("/app/requests", requests.show_all, "signed_in", LOOK),
    get("/app/requests.csv", requests.export, "signed_in", EXPORT),
    get("/app/requests/{request_id}", requests.show, "signed_in", LOOK),
    # Money
    get("/app/billing", billing.show, "signed_in", LOOK),
    get("/app/billing.csv", billing.export, "signed_in", EXPORT),
    get("/app/billing/statements/{month}", billing.show_statement, "signed_in", LOOK),
    post("/app/billing/threshold", billing.set_threshold, "signed_in", CHANGE),
    # The console
    get("/admin/users", users.show_all, "support", LOOK),
    get("/admin/users/{user_id}/credit", users.show_credit, "operator", LOOK),
    post("/admin/users/{user_id}/credit", users.credit, "operator", CHANGE),
    post("/admin/users/{user_id}/freeze", users.freeze, "operator", CHANGE),
    post("/admin/users/{user_id}/unfreeze", users.unfreeze, "operator", CHANGE),
    get("/admin/users/invite", users.show_invite, "operator", LOOK),
    post("/admin/users/invite", users.invite, "operator", CHANGE),
    get("/admin/users/{user_id}", users.show, "support", LOOK),
    get("/admin/codes", codes.show_all, "operator", LOOK),
    get("/admin/codes/new", codes.show_new, "operator", LOOK),
    post("/admin/codes", codes.create, "operator", CHANGE),
    post("/admin/codes/{code_id}/void", codes.void, "operator", CHANGE),
    get("/admin/health", health.show, "support", LOOK),
)
