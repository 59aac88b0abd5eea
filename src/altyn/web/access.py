"""Who may open a page: everybody, whoever has signed in, people who run the place."""

from typing import Literal

from altyn.web.session import SignedIn

Access = Literal["anybody", "signed_in", "support", "operator", "owner"]
"""`support`, `operator` and `owner` are roles of people who run the place; each may do what those
before it may.
"""

ROLES = ("support", "operator", "owner")


def may(access: Access, person: SignedIn | None) -> bool:
    """Whether this person, or nobody in particular, may open something."""
    if access in ROLES:
        role = person.role if person is not None else None
        return role in ROLES and ROLES.index(role) >= ROLES.index(access)
    return access == "anybody" or person is not None
