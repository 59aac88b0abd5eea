"""Whether a form was sent from our own pages: no token in forms, the browser itself tells.

Every browser since 2023 says with `Sec-Fetch-Site` where a request comes from, and no page can
forge it. Older ones send `Origin` with every form.
"""

from urllib.parse import urlsplit

from starlette.requests import Request

SAFE_METHODS = frozenset({"GET", "HEAD"})


def is_from_us(request: Request, *, public_url: str) -> bool:
    """Whether what changes something was sent by a page of ours. A look from anywhere is fine."""
    if request.method in SAFE_METHODS:
        return True
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    # Not even an Origin: no browser sends a form like that.
    return origin is not None and _host(origin) in {_host(public_url), request.headers.get("host")}


def is_local_path(path: str) -> bool:
    r"""Whether a path leads back to ourselves: `//host`, `/\host` and `https:` lead elsewhere."""
    return path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()


def _host(url: str) -> str:
    return urlsplit(url).netloc
