"""``console``: the pages, served to this machine alone.

Replaces this process by Streamlit's server, which reads its settings beside app.py; where an installed package has them elsewhere, they are
handed over. Guarantee: it works from any folder, whatever lies there.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.common import clear_errors
from core.errors import ConfigError
from core.files import read_text
from core.paths import CONSOLE_CONFIG, PROJECT, program, runs_home


def console(
    port: Annotated[int, typer.Option(help="Port on localhost.", min=1, max=65_535)] = 8501,
    is_opened: Annotated[bool, typer.Option("--open", help="Open it in a browser too.")] = False,
) -> None:
    """Open the console, on this machine alone. Ctrl-C ends it; trainings that run go on."""
    with clear_errors():
        check_port(port)
        home = runs_home()
        print(
            f"Tracewright opens on http://localhost:{port}; runs are in {home}. Ctrl-C ends it; trainings that run go on.", file=sys.stderr
        )
        sys.stderr.flush()
        os.execv(sys.executable, command(port, is_opened))


def check_port(port: int) -> None:
    """Raise :class:`ConfigError` where a port can't be had."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was just given back is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise ConfigError(
                f"--port {port} can't be had ({error.strerror}); is a console open on http://localhost:{port} already? Another one: "
                f"{program()} console --port {port + 1 if port < 65_535 else port - 1}"
            ) from error


def command(port: int, is_opened: bool, config: Path = CONSOLE_CONFIG) -> list[str]:
    """What starts the server. With -P, no module in the working folder can take the place of one of Python's or ours."""
    found = [sys.executable, "-P", "-m", "streamlit", "run", str(PROJECT / "app.py")]
    if config.parent != PROJECT / ".streamlit":  # where Streamlit finds it by itself
        found += flags(tomllib.loads(read_text(config) or ""))
    return [*found, f"--server.port={port}", f"--server.headless={'false' if is_opened else 'true'}", "--server.address=127.0.0.1"]


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
