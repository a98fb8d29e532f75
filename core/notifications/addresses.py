"""Where notifications go, and their secrets: an address may name one that only the environment or secrets.toml holds.

``secret:NAME`` stands for the whole address that the environment variable NAME, or a line ``NAME = "..."`` of .streamlit/secrets.toml,
holds. Then settings and the list of messages that wait hold its name alone. Guarantee: what goes wrong is told without any address.
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

from core.errors import ConfigError, DamagedFileError
from core.files import read_text
from core.paths import secrets_file

PREFIX = "secret:"


def masked(url: str) -> str:
    """An address without its secrets: the scheme and its last characters; the name of one that is kept elsewhere whole."""
    if url.startswith(PREFIX):
        return url
    scheme, _, rest = url.partition("://")
    return f"{scheme}://…{rest[-4:]}" if len(rest) > 8 else f"{scheme}://…"


def resolved(url: str, path: Path | None = None) -> str:
    """The address itself; ``path``: of the secrets file, the installation's own unless given.

    Raises:
        ConfigError: it names a secret that is nowhere, or the file can't be read.
    """
    if not url.startswith(PREFIX):
        return url
    name, path = url.removeprefix(PREFIX).strip(), path or secrets_file()
    if name in os.environ:
        return os.environ[name]
    try:
        found = tomllib.loads(read_text(path) or "").get(name)
    except (DamagedFileError, tomllib.TOMLDecodeError):  # whose text may quote the file
        raise ConfigError(f"{path.parent.name}/{path.name} can't be read") from None
    if not isinstance(found, str) or not found:
        raise ConfigError(f"{name} is neither an environment variable nor in {path.parent.name}/{path.name}")
    return found


def send(url: str, title: str, text: str) -> str:
    """Send one message to one address; returns what went wrong, or ""."""
    import apprise

    try:
        address = resolved(url)
    except ConfigError as error:
        return f"{masked(url)}: {error}"
    target = apprise.Apprise()
    if not target.add(address):
        return f"{masked(url)} is not an address that apprise understands"
    try:
        return "" if target.notify(body=text, title=title) else f"{masked(url)} did not accept the message"
    except Exception as error:  # a target's library may raise anything, which must not end the thread
        return f"{masked(url)}: {type(error).__name__}"  # its text may quote the address
