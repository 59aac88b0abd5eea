"""Language and theme: kept for this browser, and for the person if one is signed in."""

from functools import partial

from starlette.responses import Response

from altyn.accounts.store import Profile, set_profile
from altyn.web.visit import LANGUAGE_COOKIE, THEME_COOKIE, THEMES, Visit
from altyn.web.words import LANGUAGES


async def save(visit: Visit) -> Response:
    """`POST /choices`: whichever of the two was pressed."""
    response = visit.go(visit.back())
    language, theme = visit.field("language"), visit.field("theme")
    if theme in THEMES:
        visit.remember(response, THEME_COOKIE, theme)
    if language in LANGUAGES:
        visit.remember(response, LANGUAGE_COOKIE, language)
        if visit.person is not None:
            profile = Profile(language=language)
            await visit.shop.database.write(
                partial(set_profile, user_id=visit.person.user_id, profile=profile)
            )
    return response
