"""``console``: the pages, served to this machine alone unless sign-in is set up or a token is asked for.

Replaces this process by Streamlit's server, which reads its settings beside app.py; where an installed package has them elsewhere, they are
handed over. Guarantee: it works from any folder, whatever lies there.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from core.access.exposure import GUIDE, TOKEN_VARIABLE, is_loopback, new_token
from core.cli.common import clear_errors
from core.errors import ConfigError, DamagedFileError
from core.files import read_text
from core.machine import own_addresses
from core.paths import CONSOLE_CONFIG, PROJECT, program, runs_home, secrets_file

LOCAL = "127.0.0.1"


def console(
    port: Annotated[int, typer.Option(help="Port on localhost.", min=1, max=65_535)] = 8501,
    is_opened: Annotated[bool, typer.Option("--open", help="Open it in a browser too.")] = False,
    address: Annotated[str, typer.Option(help="Address to listen on; any but this machine's own takes sign-in or --share.")] = LOCAL,
    is_shared: Annotated[
        bool, typer.Option("--share", help="Let in whoever has the address with a token, which is printed. Not encrypted.")
    ] = False,
) -> None:
    """Open the console, on this machine alone unless told otherwise. Ctrl-C ends it; trainings that run go on."""
    with clear_errors():
        token = os.environ.get(TOKEN_VARIABLE) or (new_token() if is_shared else "")
        check_address(address, token)
        check_port(port, address)
        if token:
            os.environ[TOKEN_VARIABLE] = token  # not on the command line, which every process of this machine may read
            print("warning: whoever has this address can start, change and delete runs, and nothing is encrypted.", file=sys.stderr)
        where = f"http://{shown_host(address)}:{port}" + (f"/?token={token}" if token else "")
        print(f"Tracewright opens on {where}; runs are in {runs_home()}. Ctrl-C ends it; trainings that run go on.", file=sys.stderr)
        sys.stderr.flush()
        os.execv(sys.executable, command(port, is_opened, address=address))


def check_address(address: str, token: str) -> None:
    """Raise :class:`ConfigError` where a console would let in anybody. The server looks again, and at more."""
    if token or is_loopback(address):
        return
    try:
        has_sign_in = bool(tomllib.loads(read_text(secrets_file()) or "").get("auth"))
    except (DamagedFileError, tomllib.TOMLDecodeError):  # whose text may quote the file
        raise ConfigError(f"{secrets_file()} can't be read") from None
    if not has_sign_in:
        raise ConfigError(
            f"--address {address}: anybody who reaches it could use the console. Set up sign-in ({GUIDE}), add --share for an address "
            f"with a token, or leave --address out"
        )


def shown_host(address: str) -> str:
    """What to open in a browser: for all addresses, the machine's name."""
    if address in ("0.0.0.0", "::"):  # nosec B104
        return next((each for each in sorted(own_addresses()) if "." in each and not is_loopback(each)), "localhost")
    return "localhost" if address == LOCAL else f"[{address}]" if ":" in address else address


def check_port(port: int, address: str = LOCAL) -> None:
    """Raise :class:`ConfigError` where an address or a port can't be had."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just given back is free
        try:
            probe.bind((address, port))
        except OSError as error:
            raise ConfigError(_why_not(port, address, error)) from error
        except UnicodeError as error:  # of a name that no look-up takes
            raise ConfigError(f"--address {address[:100]!r} is no name or address") from error


def _why_not(port: int, address: str, error: OSError) -> str:
    if isinstance(error, socket.gaierror) or error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        own = ", ".join(sorted(own_addresses())) or "none that can be read"
        return f"--address {address[:100]}: this machine has no such address; it has {own}, and 0.0.0.0 is all of them"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"--port {port} can't be had ({error.strerror}): ports below 1024 are the system's; take another one: {program()} console --port 8501"
    return (
        f"--port {port} can't be had ({error.strerror}); is a console open on http://{shown_host(address)}:{port} already? Another one: "
        f"{program()} console --port {port + 1 if port < 65_535 else port - 1}"
    )


def command(port: int, is_opened: bool, config: Path = CONSOLE_CONFIG, address: str = LOCAL) -> list[str]:
    """What starts the server. With -P, no module in the working folder can take the place of one of Python's or ours."""
    found = [sys.executable, "-P", "-m", "streamlit", "run", str(PROJECT / "app.py")]
    if config.parent != PROJECT / ".streamlit":  # where Streamlit finds it by itself
        found += flags(tomllib.loads(read_text(config) or ""))
    return [*found, f"--server.port={port}", f"--server.headless={'false' if is_opened else 'true'}", f"--server.address={address}"]


def flags(settings: Mapping[str, Any], section: str = "") -> Iterator[str]:
    """A config.toml of Streamlit as options of its command: a list of the theme's as JSON, any other as an option per item."""
    for name, value in settings.items():
        key = f"{section}{name}"
        if isinstance(value, dict):
            yield from flags(value, f"{key}.")
        elif isinstance(value, list) and not key.startswith("theme."):
            yield from (f"--{key}={item}" for item in value)
        else:
            yield f"--{key}={value if isinstance(value, str) else json.dumps(value)}"
