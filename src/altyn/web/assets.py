"""Static files: read once, packed once, named by what is in them so that a browser keeps them."""

import gzip
import hashlib
from functools import cache
from pathlib import Path

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

STATIC = Path(__file__).parent / "static"
KINDS = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
FOREVER = "public, max-age=31536000, immutable"
A_DAY = "public, max-age=86400"
DIGEST_LENGTH = 10


class Asset(Struct, frozen=True):
    """One file, plain and packed."""

    kind: str
    plain: bytes
    packed: bytes


def asset_url(name: str) -> str:
    """Where a file is served: another content is another address.

    Raises `KeyError` for a file that is not there, which a page finds out in its first test.
    """
    return f"/static/{digests()[name]}/{name}"


@cache
def digests() -> dict[str, str]:
    """Every file that may be served, by its path under `static/`."""
    return {
        str(path.relative_to(STATIC)): hashlib.sha256(path.read_bytes()).hexdigest()[:DIGEST_LENGTH]
        for path in sorted(STATIC.rglob("*"))
        if path.suffix in KINDS and "source" not in path.parts
    }


@cache
def read_asset(name: str) -> Asset:
    plain = (STATIC / name).read_bytes()
    return Asset(KINDS[Path(name).suffix], plain, gzip.compress(plain, 9, mtime=0))


def serve_asset(request: Request) -> Response | None:
    """The file of an address, or None.

    Under another digest it is kept for a day only: an old page's, or a font that a style names.
    """
    _, _, rest = request.url.path.removeprefix("/").partition("/")
    wanted, _, name = rest.partition("/")
    if name not in digests():
        return None
    asset = read_asset(name)
    packed = "gzip" in request.headers.get("accept-encoding", "")
    headers = {
        "cache-control": FOREVER if wanted == digests()[name] else A_DAY,
        "content-type": asset.kind,
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }
    if packed:
        headers["content-encoding"] = "gzip"
    return Response(asset.packed if packed else asset.plain, headers=headers)
