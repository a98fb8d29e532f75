"""Who asks: by the cookie that Streamlit sets at sign-in, by the token of a shared console, or nobody in particular.

A running page keeps the identity that its websocket began with, so roles, the age of a sign-in and a sign-out are looked up at every
request and every action, here. Guarantee: whatever can't be read (settings, secrets, a cookie) gives nobody a role.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from streamlit import config
from streamlit.auth_util import get_cookie_with_chunks, get_secrets_auth_section
from streamlit.runtime.secrets import secrets_singleton
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from core.access.exposure import GUIDE, HOSTS_VARIABLE, TOKEN_VARIABLE, Exposure, Way, decide, providers
from core.access.roles import BY_TOKEN, LOCAL, NOBODY, Person, person_of
from core.access.sign_outs import SignOuts
from core.config.installation import AccessSettings, read_settings
from core.errors import AccessError, ConfigError
from core.paths import runs_home

log = logging.getLogger("tracewright")
_OF_A_SIGN_IN = ("iss", "sub", "iat", "exp", "nonce", "jti", "auth_time")  # claims that together belong to one sign-in
_sign_outs: SignOuts | None = None  # of the home that is served
_token = ""  # nosec B105
_asks = False  # whether this server began with sign-in: a secrets file that is lost or damaged later opens nothing


def auth_section() -> dict[str, Any]:
    """The section [auth] of secrets.toml; empty without one.

    Raises:
        AccessError: the file can't be read.
    """
    try:
        found = get_secrets_auth_section().to_dict()
    except (OSError, ValueError, AttributeError):  # whose text may quote the file
        raise AccessError("[auth] in secrets.toml is no section; fix it") from None
    if not found and not secrets_singleton.load_if_toml_exists():
        there = [path for path in config.get_option("secrets.files") if os.path.lexists(path)]
        if there:
            raise AccessError(
                f"{' and '.join(there)} can't be read, so it is unknown whether people must sign in; fix the file or remove it"
            )
    return dict(found)


def open_to() -> Exposure:
    """Decide, once, before anybody is answered, how people get in.

    Raises:
        AccessError: as :func:`core.access.exposure.decide`; or Streamlit is told to believe who a request says that it is from.
    """
    global _asks, _token
    given = os.environ.pop(TOKEN_VARIABLE, _token)  # no trainer inherits it
    if config.get_option("server.trustedUserHeaders"):
        raise AccessError(f"server.trustedUserHeaders is set: anybody could name themselves in a header. Remove it; sign-in is in {GUIDE}")
    address, has_authlib = str(config.get_option("server.address") or ""), importlib.util.find_spec("authlib") is not None
    found = decide(address, auth_section(), given, has_authlib, os.environ.get(HOSTS_VARIABLE, ""))
    _token, _asks = found.token, found.way == "sign-in"
    return found


def token() -> str:
    return _token


def way() -> Way:
    """How people get in now. A section [auth] always asks for sign-in, also one that came after the start."""
    try:
        return "sign-in" if _asks or auth_section() else "token" if _token else "local"
    except AccessError:
        return "sign-in"


def access_settings() -> AccessSettings | None:
    """The roles as the settings have them now; None where they can't be read."""
    try:
        return read_settings(runs_home()).access
    except ConfigError:
        return None


def provider_names() -> list[str]:
    """The providers that one can sign in with; "" is the one that has no name."""
    try:
        section = auth_section()
    except AccessError:
        return []
    return [""] if section.get("client_id") else list(providers(section))


def person(claims: Mapping[str, Any]) -> Person:
    """Who acts in a page, by the claims of its sign-in."""
    return _person(claims)[0]


def asking(cookies: Mapping[str, str]) -> tuple[Person, AccessSettings]:
    """Who asks for an address, with the settings of access."""
    return _person(_claims(cookies))


def end(cookies: Mapping[str, str]) -> None:
    """The sign-in of a browser is over: in every page that is still open too, and after a restart."""
    end_of(_claims(cookies))


def end_of(claims: Mapping[str, Any]) -> None:
    """As :func:`end`, of the sign-in that has these claims; of none where there are none."""
    if claims:
        try:
            _ended().end(_mark(claims))
        except OSError as error:
            log.warning("a sign-out can't be written, so it is forgotten when this server ends: %s", error)


def _ended() -> SignOuts:
    global _sign_outs
    home = runs_home()
    if _sign_outs is None or _sign_outs.home != home:
        _sign_outs = SignOuts(home)
    return _sign_outs


def _person(claims: Mapping[str, Any]) -> tuple[Person, AccessSettings]:
    now = way()
    if now != "sign-in":
        access = access_settings() or AccessSettings()
        return (LOCAL if now == "local" else BY_TOKEN), access
    settings = access_settings()
    found = NOBODY if _ended().has_ended(_mark(claims), claims.get("iat")) else person_of(claims, settings, time.time())
    return found, settings or AccessSettings()


def _mark(claims: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps([str(claims.get(name)) for name in _OF_A_SIGN_IN]).encode()).hexdigest()


def _claims(cookies: Mapping[str, str]) -> dict[str, Any]:
    """What Streamlit's own signed cookie says; empty for none, one that is too old and one that somebody made up."""
    secret = get_cookie_secret()
    if way() != "sign-in" or not secret:
        return {}

    def one(name: str) -> bytes | None:
        value = cookies.get(name)
        return decode_signed_value(secret, name, value.encode("latin-1", "replace")) if value else None

    try:
        data = get_cookie_with_chunks(one, USER_COOKIE_NAME)
        found = json.loads(data) if data else {}
    except (ValueError, RecursionError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
