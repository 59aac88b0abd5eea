"""The first page after signing in: how the account stands, and what to do next."""

from starlette.responses import Response

from altyn.web.visit import Visit


async def show(visit: Visit) -> Response:
    """`GET /app`"""
    return await visit.page("overview.html")
