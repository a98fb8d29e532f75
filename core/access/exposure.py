"""Whom a console answers: this machine alone, whoever signs in, or whoever has the token that was asked for with a flag.

Guarantee: at any address that others can reach, or under a name for others, a console that asks nobody who they are does not start.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from core.errors import AccessError

TOKEN_VARIABLE = "TRACEWRIGHT_TOKEN"  # nosec B105
HOSTS_VARIABLE = "TRACEWRIGHT_HOSTS"
MIN_TOKEN, MIN_SECRET = 20, 32  # characters
GUIDE = "docs/access.md"  # how to set up sign-in
_PROVIDER = ("client_id", "client_secret", "server_metadata_url")
Way = Literal["local", "sign-in", "token"]


@dataclass(frozen=True)
class Exposure:
    """``way``: how people get in; ``token``: what they need for it, "" unless that is the way."""

    way: Way
    token: str = ""


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address: an IP address, a name all of whose addresses are such, or a socket's file."""
    if address.startswith("unix://"):
        return True
    try:
        return ipaddress.ip_address(address.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        pass
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(address, None)} if address else set()
    except (OSError, UnicodeError):
        return False
    return bool(found) and all(ipaddress.ip_address(str(each).partition("%")[0]).is_loopback for each in found)


def for_others(hosts: str) -> list[str]:
    """Those of the names in TRACEWRIGHT_HOSTS under which others may come, as through a proxy. None is looked up."""
    found = []
    for entry in filter(None, (entry.strip() for entry in hosts.split(","))):
        try:
            host = urlsplit(f"//[{entry}]" if entry.count(":") > 1 and not entry.startswith("[") else f"//{entry}").hostname or ""
            if host and host != "localhost" and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
                found.append(entry)
        except ValueError:  # a name, or nothing that a browser could ask for
            found.append(entry)
    return found


def decide(address: str, auth: Mapping[str, Any], token: str, has_authlib: bool, hosts: str = "") -> Exposure:
    """How people get into a console at ``address``. ``auth``: the section of that name in secrets.toml, empty without one; ``hosts``: what
    TRACEWRIGHT_HOSTS lists.

    Raises:
        AccessError: others reach the address, or come under a name that is listed for them, and nobody is asked who they are; or what asks
            them is set up incompletely.
    """
    if auth:
        problem = sign_in_problem(auth, has_authlib)
        if problem:
            raise AccessError(f"Sign-in can't be used: {problem}. Fix [auth] in .streamlit/secrets.toml, or remove it.")
        return Exposure("sign-in")
    if token:
        if len(token) < MIN_TOKEN or not token.isascii() or not token.isprintable():
            raise AccessError(f"{TOKEN_VARIABLE} must have at least {MIN_TOKEN} printable ASCII characters; try: {new_token()}")
        return Exposure("token", token)
    if not is_loopback(address):
        to_all = "0.0.0.0"  # nosec B104
        raise AccessError(
            f"The console does not listen on {address or 'all addresses'} without sign-in: anybody who reaches it could use it. Set up "
            f"sign-in ({GUIDE}), or start it with `console --address {address or to_all} --share`, or listen on 127.0.0.1."
        )
    if others := for_others(hosts):
        raise AccessError(
            f"{HOSTS_VARIABLE} lists {others[0][:100]}, a name for others, but nobody is asked to sign in: whoever comes through a proxy could do "
            f"everything. Set up sign-in ({GUIDE}), or start it with `console --share`, or leave {HOSTS_VARIABLE} out."
        )
    return Exposure("local")


def sign_in_problem(auth: Mapping[str, Any], has_authlib: bool) -> str:
    """What keeps a section ``auth`` from working, "" where nothing does. Never holds a value of the section."""
    if not has_authlib:
        return "Authlib is not installed (pip install -r requirements-signin.txt)"
    if not str(auth.get("redirect_uri") or "").endswith("/oauth2callback"):
        return "redirect_uri must be the console's address with /oauth2callback at its end"
    if len(str(auth.get("cookie_secret") or "")) < MIN_SECRET:
        return f"cookie_secret must have at least {MIN_SECRET} random characters"
    sections = {"[auth]": auth} if any(auth.get(key) for key in _PROVIDER) else providers(auth)
    if not sections:
        return f"no provider is given ({', '.join(_PROVIDER)})"
    for name, section in sections.items():
        missing = [key for key in _PROVIDER if not section.get(key)]
        if missing:
            return f"{name} lacks {', '.join(missing)}"
    return ""


def providers(auth: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """{name: section} of the providers that have a section of their own."""
    return {name: value for name, value in auth.items() if isinstance(value, Mapping) and name != "client_kwargs"}


def new_token() -> str:
    return secrets.token_urlsafe(24)
