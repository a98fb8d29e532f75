"""The real server: starts before the first visitor, survives kill -9 of itself and of trainers; the main path in a browser."""

import http.client
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from core.runs.events import read_events
from core.runs.records import read_heartbeat, read_log_tail
from core.runs.status import Status, run_state
from core.scheduling import local
from storage import queries
from storage.store import Store
from tests.support.addresses import ADDRESSES
from tests.support.paths import ROOT
from tests.support.runs import await_step, tiny_config
from tests.support.servers import Server, free_port, serving


def test_the_server_starts_before_the_first_visit_and_stops_cleanly(home, tmp_path):
    with serving(home, tmp_path) as server:
        assert server.health()["status"] == "ok"
        server.end()
        assert "Traceback" not in server.output.read_text()
    Store(home / "index.duckdb").close()  # the file is free again


def test_a_client_that_does_not_read_keeps_no_server_from_ending(home, tmp_path):
    with serving(home, tmp_path) as server, socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", int(server.url.rsplit(":", 1)[1])))
        static = Path(importlib.util.find_spec("streamlit").origin).parent / "static"
        largest = max(static.rglob("*.js"), key=lambda path: path.stat().st_size)
        client.sendall(f"GET /{largest.relative_to(static)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert client.recv(12) == b"HTTP/1.1 200"
        server.end()  # fails where it takes too long
        assert "Timeout" not in server.output.read_text()
    Store(home / "index.duckdb").close()


def test_a_server_that_hangs_says_where_and_ends(tmp_path):
    code = """
import signal, time
from pages.server.service import end_in_time
signal.signal(signal.SIGTERM, lambda *_: None)  # asked to end, it does not
end_in_time(0.5)
signal.raise_signal(signal.SIGTERM)
time.sleep(60)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert "Timeout" in done.stderr
    assert 'File "<string>", line 7' in done.stderr


def test_a_second_console_on_the_same_runs_says_so_in_one_line(home, tmp_path):
    with serving(home, tmp_path):
        command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", str(free_port())]
        second = subprocess.run(
            command, cwd=ROOT, env=os.environ | {"TRACEWRIGHT_HOME": str(home)}, capture_output=True, text=True, timeout=60
        )
    assert second.returncode == 1
    assert "a console is already running on these runs" in second.stderr
    assert "Traceback" not in second.stderr + second.stdout


@pytest.mark.parametrize("first", ["server", "trainer"])
def test_kill_of_server_and_trainer_in_any_order_loses_and_doubles_nothing(home, tmp_path, logo_folder, first):
    with serving(home, tmp_path) as server:
        run = local.start(home, tiny_config(logo_folder, total_timesteps=1_000_000))
        await_step(run, 64)
        trainer = read_heartbeat(run).process

        def kill_trainer() -> None:
            os.kill(trainer.pid, signal.SIGKILL)
            while trainer.is_alive():
                time.sleep(0.02)

        if first == "server":
            server.end(signal.SIGKILL)
            seen = max(e.step for e in read_events(run.events_file))
            await_step(run, seen + 64)  # a run does not notice
            kill_trainer()
        else:
            kill_trainer()
            server.end(signal.SIGKILL)
        assert run_state(run).status is Status.INTERRUPTED
        again = Server(home, tmp_path / "again.log")
        try:
            n_events = run.events_file.read_bytes().count(b"\n")
            again.await_read(run.events_file.read_bytes().rfind(b"\n") + 1)
            local.resume(run)
            deadline = time.monotonic() + 60
            while not any(e.attempt == 2 and e.kind == "metrics" for e in read_events(run.events_file)):
                assert time.monotonic() < deadline, read_log_tail(run)
                time.sleep(0.05)
            local.stop(run)
            while run_state(run).status is Status.RUNNING:
                time.sleep(0.05)
            assert run_state(run).status is Status.STOPPED
            again.await_read(run.events_file.stat().st_size)
        finally:
            again.end()
        events = list(read_events(run.events_file))
        assert len(events) > n_events
        assert [e.seq for e in events] == list(range(1, len(events) + 1))
        with Store(home / "index.duckdb") as store:
            counts = queries.counts(store, run.run_id)
            assert counts["episodes"] == sum(e.kind == "episode" for e in events)
            assert counts["metrics"] == sum(len(e.data.values) for e in events if e.kind == "metrics")
            assert counts["evaluated"] == sum(e.kind == "evaluated" for e in events)


def test_an_unknown_page_is_answered_with_the_start_document(home, tmp_path):
    """It is the browser's side of Streamlit that says that there is no such page."""
    with serving(home, tmp_path) as server, urllib.request.urlopen(f"{server.url}/nothing-here", timeout=10) as answer:
        assert answer.status == 200
        assert b"<!doctype html>" in answer.read().lower()


@pytest.mark.parametrize("how", ["flag", "environment", "config"])
def test_an_address_that_others_reach_is_refused_without_sign_in(home, tmp_path, how):
    environment, flags, folder = os.environ | {"TRACEWRIGHT_HOME": str(home)}, [], ROOT
    if how == "flag":
        flags = ["--server.address", "0.0.0.0"]
    elif how == "environment":
        environment["STREAMLIT_SERVER_ADDRESS"] = "0.0.0.0"
    else:  # in the user's own folder nothing says where to listen: then Streamlit listens everywhere
        folder, app = tmp_path / "elsewhere", tmp_path / "elsewhere" / "app.py"
        folder.mkdir()
        app.write_text(f"import sys; sys.path.insert(0, {str(ROOT)!r})\n" + (ROOT / "app.py").read_text())
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(folder / "app.py"),
        "--server.port",
        str(free_port()),
        "--server.headless=true",
        *flags,
    ]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert "without sign-in" in lines[0]
    assert "Traceback" not in done.stderr + done.stdout
    assert not (home / "index.duckdb").exists()


def test_every_answer_has_a_policy_that_allows_no_inline_script(home, tmp_path):
    with serving(home, tmp_path) as server:
        asked = [("GET", path, {}) for path in (*(path for path in ADDRESSES if ".." not in path), "/api/reports/none")]
        asked += [("GET", "/api/runs", {"Host": "evil.example"}), ("POST", "/api/runs", {"Origin": "http://evil.example"})]
        asked += [("GET", f"/api/changes?{'run=..%2f..%2fetc&' * 60}run=%00&run=none", {})]
        asked += [("DELETE", "/_stcore/upload_file/a/b", {}), ("PUT", "/_stcore/upload_file/a/b", {}), ("GET", "/media/none.svg", {})]
        statuses = set()
        for method, path, headers in asked:
            connection = http.client.HTTPConnection("127.0.0.1", int(server.url.rsplit(":", 1)[1]), timeout=20)
            connection.request(method, path or "/", headers=headers)
            answer = connection.getresponse()
            statuses.add(answer.status)
            policy = dict(part.strip().partition(" ")[::2] for part in (answer.getheader("content-security-policy") or "").split(";"))
            connection.close()
            assert policy["script-src"] == "'self' blob:", path
            assert policy["object-src"] == "'none'"
            assert answer.getheader("x-content-type-options") == "nosniff", path
        assert {200, 403, 404, 421} <= statuses
