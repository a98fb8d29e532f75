"""Who somebody is, from what the sign-in provider said of them, and which role the settings give them.

Guarantee: an identity counts only where the provider vouches for it (a verified address, or its own identifier), and what can't be read
gives no role at all.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.config.installation import AccessSettings

MAX_NAME = 200  # characters of an identity that are kept
SUBJECT = "sub:"  # begins an entry that names the provider's own identifier


class Role(enum.IntEnum):
    """What somebody may do; each may do what those before it may."""

    SIGNED_OUT = 0
    VIEWER = 1
    TRAINER = 2
    ADMIN = 3

    @property
    def label(self) -> str:
        return self.name.lower().replace("_", "-")


@dataclass(frozen=True)
class Person:
    """Who acts. ``name``: as the audit trail shows it; ``is_limited``: whether the limits per person hold."""

    name: str
    role: Role
    is_limited: bool = True


LOCAL = Person("local", Role.ADMIN, is_limited=False)  # nobody signs in: whoever uses this machine
BY_TOKEN = Person("by token", Role.TRAINER)
NOBODY = Person("", Role.SIGNED_OUT)


def _identities(claims: Mapping[str, Any]) -> list[str]:
    """What the settings may call this person: the address if the provider verified it, and always its identifier."""
    found = []
    email = claims.get("email")
    if isinstance(email, str) and claims.get("email_verified") is True and email.count("@") == 1:
        found.append(email.strip().lower()[:MAX_NAME])
    subject = claims.get("sub")
    if isinstance(subject, str) and subject.strip():
        found.append(f"{SUBJECT}{subject.strip()[:MAX_NAME]}")
    return found


def is_expired(claims: Mapping[str, Any], hours: float, now: float) -> bool:
    """Whether a sign-in is older than ``hours``; one without a readable time is."""
    issued = claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, int | float) or not math.isfinite(issued):
        return True
    return not -300 <= now - issued <= hours * 3600


def person_of(claims: Mapping[str, Any], access: AccessSettings | None, now: float) -> Person:
    """Who the provider says it is, with the highest role that any entry of the settings gives; ``access``: None where they can't be read."""
    if claims.get("is_logged_in") is not True or access is None or is_expired(claims, access.session_hours, now):
        return NOBODY
    known = _identities(claims)
    if not known:
        return NOBODY
    for role, entries in ((Role.ADMIN, access.admins), (Role.TRAINER, access.trainers), (Role.VIEWER, access.viewers)):
        if any(_fits(entry, known) for entry in entries):
            return Person(known[0], role)
    return Person(known[0], Role.VIEWER if access.everyone == "viewer" else Role.SIGNED_OUT)


def _fits(entry: str, known: list[str]) -> bool:
    """``entry``: an address, a domain as "@example.com", or "sub:" with the provider's identifier, which is told apart by case."""
    if entry.startswith(SUBJECT):
        return entry in known
    wanted = entry.strip().lower()
    emails = [name for name in known if not name.startswith(SUBJECT)]
    return any(email == wanted or (wanted.startswith("@") and email.endswith(wanted)) for email in emails)
