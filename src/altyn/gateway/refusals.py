"""Every refusal that a caller can meet: what the documents and the pages list."""

from collections.abc import Iterator

import altyn.errors
from altyn.errors import AltynError


def list_api_errors() -> list[type[AltynError]]:
    """One class for each code."""
    return list({error.code: error for error in _leaves(AltynError)}.values())


def _leaves(error: type[AltynError]) -> Iterator[type[AltynError]]:
    if error.type == "operator_error":
        return
    # A subclass elsewhere is one of these by another name: its code is told here.
    below = [part for part in error.__subclasses__() if part.__module__ == altyn.errors.__name__]
    for part in below:
        yield from _leaves(part)
    if not below:
        yield error
