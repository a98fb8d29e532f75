"""``python -m core console``, up to the process that it becomes, and the paths that a checkout and a package differ in."""

from __future__ import annotations

import ast
import os
import socket
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core import paths
from core.access.exposure import TOKEN_VARIABLE
from core.cli import console
from core.cli.app import app
from core.config.text import config_file, load_config
from core.errors import ConfigError
from tests.support.paths import ROOT
from tests.support.servers import free_port
from tests.support.sources import tree_of


@pytest.fixture
def taken_port():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_it_becomes_a_server_on_localhost(monkeypatch):
    become = []
    monkeypatch.setattr(os, "execv", lambda path, command: become.append((path, command)))
    done = CliRunner().invoke(app, ["console", "--port", str(port := free_port())])
    assert done.exit_code == 0, done.output
    ((path, command),) = become
    assert path == command[0] == sys.executable
    assert command[1:6] == ["-P", "-m", "streamlit", "run", str(ROOT / "app.py")]
    assert command[6:] == [f"--server.port={port}", "--server.headless=true", "--server.address=127.0.0.1"]


def test_a_port_that_is_taken_is_said_in_one_line(taken_port, monkeypatch):
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it was started all the same"))
    done = CliRunner().invoke(app, ["console", "--port", str(taken_port)])
    assert done.exit_code == 2
    assert f"--port {taken_port} can't be had" in done.output


@pytest.mark.parametrize("address", ["192.0.2.77", "2001:db8::77", "no.such.host.invalid", "x" * 300, "a..b"])
def test_an_address_that_this_machine_lacks_is_said_in_one_line(address, monkeypatch):
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it was started all the same"))
    done = CliRunner().invoke(app, ["console", "--share", "--address", address, "--port", str(free_port())])
    assert done.exit_code == 2
    assert done.output.startswith(f"error: --address {address[:4]}") or done.output.startswith(f"error: --address '{address[:4]}")
    assert "no such address" in done.output or "no name or address" in done.output
    assert done.output.count("\n") == 1


def test_make_opens_the_console_with_the_same_words():
    """Whatever is in the way is one line there too: not Streamlit's own command, which shows its traceback."""
    told = (ROOT / "Makefile").read_text(encoding="utf-8").split("\nrun:")[1].splitlines()[1]
    assert "-m core console" in told


def test_a_package_hands_streamlits_settings_over(tmp_path):
    config = tmp_path / "config.toml"
    config.write_bytes((ROOT / ".streamlit" / "config.toml").read_bytes())
    told = console.command(8501, False, config)
    assert "--server.maxUploadSize=64" in told
    assert [flag for flag in told if "Blacklist" in flag] == [
        "--server.folderWatchBlacklist=*/core",
        "--server.folderWatchBlacklist=*/storage",
    ]
    assert "--theme.headingFontWeights=[700, 600, 600, 600, 600, 600]" in told
    assert "--theme.dark.sidebar.backgroundColor=#161d24" in told
    settings = tomllib.loads(config.read_text())
    assert told[-1] == "--server.address=127.0.0.1"
    assert settings["server"]["address"] == "127.0.0.1"


def test_a_preset_is_named_as_in_a_checkout_or_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick = ROOT / "configs" / "quick.yaml"
    assert config_file(Path("quick")) == config_file(Path("configs/quick.yaml")) == quick
    assert config_file(Path("configs/studies/learning.yaml")) == ROOT / "configs" / "studies" / "learning.yaml"
    Path("quick").write_text("seed: 3\n")
    assert config_file(Path("quick")) == Path("quick")  # what is here goes first
    with pytest.raises(ConfigError, match=r"mine\.yaml can't be read"):
        load_config(Path("mine.yaml"))


def test_runs_of_a_package_live_in_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("TRACEWRIGHT_HOME")
    assert paths.runs_home() == ROOT.resolve() / "runs"
    monkeypatch.setattr(paths, "IS_PACKAGED", True)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert paths.runs_home() == tmp_path / "tracewright" / "runs"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRACEWRIGHT_HOME", "mine")
    assert paths.runs_home() == tmp_path / "mine"
    assert paths.program() == "tracewright"


def test_a_shown_command_is_that_of_this_installation():
    """What a page or a message tells to type comes from program(); docstrings, and what is written into a checkout's docs/, may name its own."""
    own = {"core/paths.py", "core/cli/app.py", "core/bench/report.py", "core/bench/pictures.py"}
    files = [file for folder in ("core", "pages", "storage") for file in sorted((ROOT / folder).rglob("*.py"))]
    found = []
    for file in files:
        tree = tree_of(file)
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = [
            node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
        ]
        found += [file.relative_to(ROOT).as_posix() for node in texts if "python -m core" in node.value]
    assert set(found) == own


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.5", "::"])
def test_an_address_that_others_reach_takes_sign_in_or_a_token(address, monkeypatch):
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("it was started all the same"))
    done = CliRunner().invoke(app, ["console", "--address", address])
    assert done.exit_code == 2
    assert done.output.startswith(f"error: --address {address}: anybody who reaches it could use the console.")
    assert done.output.count("\n") == 1


def test_a_token_is_printed_and_not_on_the_command_line(monkeypatch):
    become = []
    monkeypatch.setenv(TOKEN_VARIABLE, "")
    monkeypatch.setattr(os, "execv", lambda path, command: become.append((command, os.environ[TOKEN_VARIABLE])))
    done = CliRunner().invoke(app, ["console", "--share", "--address", "0.0.0.0", "--port", str(free_port())])
    assert done.exit_code == 0, done.output
    ((command, token),) = become
    assert command[-1] == "--server.address=0.0.0.0"
    assert len(token) > 30
    assert not any(token in word for word in command)
    assert f"/?token={token}" in done.output
    assert "warning: whoever has this address" in done.output
