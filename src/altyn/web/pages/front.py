"""The page at `/`: what this is, a call that works when pasted, and the way in."""

from starlette.responses import Response

from altyn.web.visit import Visit


async def show(visit: Visit) -> Response:
    """`GET /`"""
    return await visit.page("front.html")
