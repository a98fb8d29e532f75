"""Sign-in without a provider: a secrets file that asks for it, and cookies as Streamlit signs them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streamlit import config
from streamlit.runtime.secrets import secrets_singleton
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from core.access.roles import Role
from core.config.installation import AccessSettings, Settings, write_settings

SECRET = "planted-cookie-secret-0123456789abcdef"
AUTH = {
    "redirect_uri": "http://localhost:8501/oauth2callback",
    "cookie_secret": SECRET,
    "client_id": "tracewright",
    "client_secret": "planted-client-secret",
    "server_metadata_url": "http://127.0.0.1:1/.well-known/openid-configuration",
}
PEOPLE = {Role.VIEWER: "vera@example.com", Role.TRAINER: "tom@example.com", Role.ADMIN: "ada@example.com"}
ACCESS = AccessSettings(viewers=[PEOPLE[Role.VIEWER]], trainers=[PEOPLE[Role.TRAINER]], admins=[PEOPLE[Role.ADMIN]])


def claims_of(role: Role, **changes: Any) -> dict[str, Any]:
    """What a provider says of the person with this role; of the signed-out: nothing."""
    if role is Role.SIGNED_OUT:
        return {}
    name = PEOPLE[role]
    about = {"iss": "http://127.0.0.1:1", "sub": name.partition("@")[0], "email": name, "email_verified": True, "iat": time.time()}
    return {"is_logged_in": True, **about, **changes}


def cookies_of(claims: Mapping[str, Any], secret: str = SECRET) -> dict[str, str]:
    value = json.dumps({"origin": "http://localhost:8501", "provider": "default", **claims})
    return {USER_COOKIE_NAME: create_signed_value(secret, USER_COOKIE_NAME, value).decode()} if claims else {}


@contextmanager
def secrets_in(path: Path, text: str) -> Iterator[Path]:
    """Streamlit reads this secrets file alone."""
    before = config.get_option("secrets.files")
    path.write_text(text, encoding="utf-8")
    config.set_option("secrets.files", [str(path)])
    secrets_singleton._reset()
    try:
        yield path
    finally:
        config.set_option("secrets.files", before)
        secrets_singleton._reset()


@contextmanager
def asked_to_sign_in(home: Path, folder: Path, access: AccessSettings = ACCESS) -> Iterator[None]:
    """Sign-in is set up, with a person of each role."""
    home.mkdir(parents=True, exist_ok=True)
    write_settings(home, Settings(access=access))
    text = "[auth]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in AUTH.items())
    with secrets_in(folder / "secrets.toml", text):
        yield
