"""Processes of the product that need not import it again: a test's ``python -m core ...`` is forked from one that has.

Imports are half of what a training of a few seconds costs, and the suite starts hundreds of processes. One process per test process (this
module, run as a program) imports core, storage and what they stand on, then forks for each command. What comes of it is a process like
any other: a child of whoever asked, with its own pid, session, files, working folder, environment and exit code, and ``__main__`` run as by
``python -m``. Left to Python itself are commands of another form (``-c``, ``-I``, another interpreter), another working folder, and what a
process that was started so starts in turn: a console in a browser test starts its trainings as it does for a user.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import ctypes
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.paths import ROOT

MODULES = ("core", "streamlit")
PACKAGES = ("core", "storage")  # not pages, which ask while they are imported how their server was started
HEAVY = ("torch", "stable_baselines3", "streamlit.web.cli", "streamlit.web.bootstrap", "cv2", "vtracer", "altair", "pandas", "duckdb")
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER of <linux/prctl.h>
_LENGTH = struct.Struct("<I")


class _Starter:
    """The other end: the process that has imported everything, started when it is first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None

    def start(self, request: dict[str, Any], files: list[int]) -> int:
        """The pid of a new child of this process."""
        with self._lock:
            if self._socket is None:
                self._socket = self._open()
            data = json.dumps(request).encode()
            _reap_orphans(True)  # whose parent ends becomes a child of this process, for as long as a start takes
            try:
                rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", files))
                self._socket.sendmsg([_LENGTH.pack(len(data))], [rights])
                self._socket.sendall(data)
                (pid,) = _LENGTH.unpack(_receive(self._socket, _LENGTH.size))
            finally:
                _reap_orphans(False)
            return int(pid)

    def _open(self) -> socket.socket:
        here, there = socket.socketpair()
        command = [sys.executable, "-m", "tests.support.warm_start", str(there.fileno())]
        quiet = os.environ | {"STREAMLIT_LOGGER_LEVEL": "error"}  # it says of each cache that no console is running
        process = _Popen(command, cwd=ROOT, env=quiet, pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        there.close()
        threading.Thread(target=process.wait, name=f"reaper-{process.pid}", daemon=True).start()
        return here


_Popen = subprocess.Popen
_starter = _Starter()


@contextlib.contextmanager
def warm_starts() -> Iterator[None]:
    """Within, ``subprocess`` starts what it can warm."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", WarmPopen)
        yield


class WarmPopen(subprocess.Popen):  # type: ignore[type-arg]
    """Python's own Popen, but for who makes the process."""

    def _execute_child(self, *given: Any) -> None:
        arguments, _, preexec_fn, _, pass_fds, cwd, env, *_ = given
        in_read, in_write, out_read, out_write, error_read, error_write = given[10:16]
        start_new_session = given[21]
        environment = {os.fsdecode(k): os.fsdecode(v) for k, v in (os.environ if env is None else env).items()}
        if preexec_fn or pass_fds or not _can_be_warm(arguments, cwd, environment):
            super()._execute_child(*given)  # type: ignore[misc]
            return
        request = {"argv": list(map(str, arguments)), "environment": environment, "new_session": bool(start_new_session)}
        files = [given_one if given_one != -1 else own for own, given_one in enumerate((in_read, out_write, error_write))]
        self.pid = _starter.start(request, files)
        self._child_created = True
        self._close_pipe_fds(in_read, in_write, out_read, out_write, error_read, error_write)  # type: ignore[attr-defined]


def _can_be_warm(arguments: Any, cwd: Any, environment: dict[str, str]) -> bool:
    if isinstance(arguments, str | bytes | os.PathLike) or len(arguments) < 3:
        return False
    head = list(map(str, arguments[:3]))
    own = {name: value for name, value in os.environ.items() if name.startswith("PYTHON") and name != "PYTHONPATH"}
    asked = {name: value for name, value in environment.items() if name.startswith("PYTHON") and name != "PYTHONPATH"}
    is_module = head[:2] == [sys.executable, "-m"] and head[2] in MODULES
    return sys.platform == "linux" and is_module and Path(cwd or os.getcwd()) == ROOT and own == asked


def _reap_orphans(wanted: bool) -> None:
    ctypes.CDLL(None).prctl(_SUBREAPER, int(wanted), 0, 0, 0)


def _receive(channel: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = channel.recv(size - len(data))
        if not part:
            raise EOFError("the process that starts others has ended; its output says why")
        data += part
    return data


def _import_all() -> None:
    for name in HEAVY:
        importlib.import_module(name)
    for package in PACKAGES:
        for found in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
            if not found.name.endswith("__main__"):
                with contextlib.suppress(ImportError):  # of an extra that is not installed
                    importlib.import_module(found.name)


def _serve(channel: socket.socket) -> dict[str, Any]:
    """Fork for each request; returns, with it, in the new process alone."""
    while True:
        head, files, _, _ = socket.recv_fds(channel, _LENGTH.size, 3)
        if not head:
            os._exit(0)
        request: dict[str, Any] = json.loads(_receive(channel, *_LENGTH.unpack(head)))
        read, write = os.pipe()
        between = os.fork()
        if not between:
            child = os.fork()
            if child:
                os.write(write, _LENGTH.pack(child))
                os._exit(0)
            for file in (channel.detach(), read, write):
                os.close(file)
            for place, file in enumerate(files):
                os.dup2(file, place)
            for file in files:
                os.close(file)
            return request
        os.waitpid(between, 0)  # now the child is one of whoever asked
        channel.sendall(os.read(read, _LENGTH.size))
        for file in (*files, read, write):
            os.close(file)


def _become(request: dict[str, Any]) -> None:
    """Be the process that was asked for."""
    if request["new_session"]:
        os.setsid()
    os.environ.clear()
    os.environ.update(request["environment"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _, _, module, *arguments = request["argv"]
    sys.argv, sys.orig_argv = [module, *arguments], request["argv"]
    added = [path for path in request["environment"].get("PYTHONPATH", "").split(os.pathsep) if path and path not in sys.path]
    sys.path[1:1] = added
    for path in added:
        if (Path(path) / "sitecustomize.py").is_file():
            runpy.run_path(str(Path(path) / "sitecustomize.py"))
    code = 1
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        code = 0
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        if isinstance(ending.code, str):
            print(ending.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    _end(code)


def _end(code: int) -> None:
    """As Python ends, but for taking to pieces what was imported, which would copy it first."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for file in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            file.flush()
    os._exit(code)


if __name__ == "__main__":
    _import_all()
    gc.freeze()  # a child's collector need not look at what was imported, and so copy it
    _become(_serve(socket.socket(fileno=int(sys.argv[1]))))
