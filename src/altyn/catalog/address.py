"""Addresses that callers name inside their messages: which of them may be passed on to a provider.

The gateway fetches none of them. A provider may, and one that stands in the operator's own network
would fetch from there: an address of that network must not come in with a prompt.
"""

import ipaddress
import re
from urllib.parse import urlsplit

SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+")
NUMERIC = re.compile(r"(?:0[xX][0-9A-Fa-f]*|[0-9]+)(?:\.(?:0[xX][0-9A-Fa-f]*|[0-9]+))*")
"""What resolvers take for an address: 2130706433, 0x7f.1, 127.1."""

OF_A_NETWORK = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".intranet", ".corp")
"""Endings of names that mean something only inside a network."""


def may_be_fetched(url: str) -> bool:
    """Whether *url* is content itself, or an ordinary address of the public net.

    A name is judged as it stands: nothing is resolved here, and whoever fetches it resolves it
    again. What two parsers could read in two ways is refused.
    """
    if not SCHEME.match(url):
        return "//" not in url[:8]  # content without a scheme, such as bare base64
    if url[:5].lower() == "data:":
        return True
    if not url.isprintable() or any(mark in url for mark in ' \\"<>'):
        return False
    try:
        address = urlsplit(url)
        host, _ = address.hostname, address.port
    except ValueError:
        return False
    if address.scheme not in ("http", "https") or not host or "@" in address.netloc:
        return False
    return _is_public(host.rstrip("."))


def _is_public(host: str) -> bool:
    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        mapped = getattr(number, "ipv4_mapped", None) or number
        return mapped.is_global and not mapped.is_multicast and not _holds_another(number)
    if NUMERIC.fullmatch(host):
        return False
    try:
        name = host.encode("idna").decode()
    except UnicodeError:
        return False
    # IDNA folds digits of other scripts, and a number may come out of it.
    if NUMERIC.fullmatch(name):
        return False
    return bool(NAME.fullmatch(name)) and not name.lower().endswith(OF_A_NETWORK)


def _holds_another(number: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """An IPv6 address that stands for an IPv4 one: by NAT64, 6to4, Teredo or as `::a.b.c.d`."""
    if number.version == 4:  # noqa: PLR2004 -- the number of the protocol
        return False
    nat64 = ipaddress.ip_network("64:ff9b::/96")
    assert isinstance(number, ipaddress.IPv6Address)
    return bool(
        number in nat64
        or number.sixtofour
        or number.teredo
        or not int(number) >> 32
        or number.scope_id
    )
