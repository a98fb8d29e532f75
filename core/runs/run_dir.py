"""The folder of one run: this module alone knows its file names.

Guarantees: a run id is claimed once (exclusive mkdir); every file but the log and the list of commands is written aside and renamed, so a
reader sees the old or the new, never half.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.config.config import RunConfig
from core.config.text import parse_yaml, to_yaml, validate
from core.errors import ConfigError, RunError
from core.files import NO_ROOM, write_aside
from core.machine import Process
from core.runs.records import Board, Heartbeat, Parent, Recovery, Spawned, Ticket

CHECKSUMS_FILE = "checksums.json"  # written last into a checkpoint
COMMANDS_FILE, TICKET_FILE, STOP_FILE, PAUSE_FILE = "commands.txt", "ticket.json", "stop.json", "pause"
RECOVERY_FILE, PARENT_FILE, BOARD_FILE = "recovery.json", "parent.json", "scheduler.json"
PREVIOUS, PARENT_CHECKPOINT = "previous", "parent"  # checkpoints: the one before last, and what a fork began with
_HEARTBEAT_BYTES = 400
_TICKET = {"order": float, "priority": int, "checkpoint": str, "not_before": float, "cause": str, "made": float}
COMMANDS = ("advance", "hold", "release", "back")  # for the curriculum, by hand
EVENTS_FILE = "events.jsonl"
LOCK_PATIENCE_S = 10.0
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@lru_cache(maxsize=2000)
def _read_config(path: Path, mtime_ns: int, size: int, inode: int) -> RunConfig:
    """A config by the state of its file, since pages ask for all of them again and again."""
    return validate(parse_yaml(path.read_text(encoding="utf-8"), str(path)))


class RunDir:
    """Paths and small files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def config_file(self) -> Path:
        return self.path / "config.yaml"

    @property
    def events_file(self) -> Path:
        return self.path / EVENTS_FILE

    @property
    def log_file(self) -> Path:
        return self.path / "train.log"

    @property
    def heartbeat_file(self) -> Path:
        return self.path / "heartbeat.json"

    @property
    def process_file(self) -> Path:
        return self.path / "process.json"

    @property
    def label_file(self) -> Path:
        return self.path / "label.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def pictures(self) -> Path:
        return self.path / "pictures"

    def picture_file(self, digest: str) -> Path:
        return self.pictures / f"{digest}.png"

    def default_svg_file(self, digest: str) -> Path:
        return self.pictures / f"{digest}.default.svg"

    def svg_file(self, step: int, digest: str) -> Path:
        return self.path / "evaluations" / f"{step:010d}" / f"{digest}.svg"

    def read_commands(self) -> list[str]:
        """All that was given by hand to the run's curriculum, in order."""
        try:
            lines = (self.path / COMMANDS_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        return [line for line in lines if line in COMMANDS]

    def write_command(self, command: str) -> None:
        """Have the trainer act on a command at its next update, after those that wait already."""
        with (self.path / COMMANDS_FILE).open("a", encoding="utf-8") as file:
            file.write(f"{command}\n")

    @property
    def experience_file(self) -> Path:
        """Every conversion of the training, for the outcome model."""
        return self.path / "experience.bin"

    def case_file(self, digest: str) -> Path:
        """A picture whose conversion cost a worker."""
        return self.path / "cases" / f"{digest}.png"

    def relative(self, path: Path) -> str:
        return path.relative_to(self.path).as_posix()

    def inside(self, relative: str) -> Path | None:
        """The file that a log names by a relative path; None where that leads out of the run."""
        path = (self.path / relative).resolve()
        return path if path.is_relative_to(self.path.resolve()) else None

    def exists(self) -> bool:
        return self.config_file.is_file()

    def read_config(self) -> RunConfig:
        """Raises :class:`core.errors.ConfigError` where the file is missing or not valid."""
        try:
            stat = self.config_file.stat()
            return _read_config(self.config_file, stat.st_mtime_ns, stat.st_size, stat.st_ino).model_copy(deep=True)
        except OSError as error:
            raise ConfigError(f"{self.config_file} can't be read: {error.strerror}") from error

    def write_config(self, config: RunConfig) -> None:
        write_aside(self.config_file, to_yaml(config).encode())

    def read_label(self) -> dict[str, str]:
        """Name and note as last edited: {"name": ..., "note": ...}, empty where never edited."""
        found = self._read_json(self.label_file)
        return {key: str(found[key]) for key in ("name", "note") if key in found}

    def write_label(self, name: str, note: str = "") -> None:
        write_aside(self.label_file, json.dumps({"v": 1, "name": name, "note": note}).encode())

    def write_heartbeat(self, beat: Heartbeat) -> None:
        """On a full disk into the file that is there: its size stays, so that it needs no room."""
        told = asdict(beat)
        data = json.dumps({"v": 1} | told.pop("process") | told).ljust(_HEARTBEAT_BYTES).encode()
        try:
            write_aside(self.heartbeat_file, data)
        except OSError as error:
            if error.errno not in NO_ROOM or not self.heartbeat_file.exists():
                raise
            with self.heartbeat_file.open("r+b", buffering=0) as file:
                file.write(data)

    def read_heartbeat(self) -> Heartbeat | None:
        raw = self._read_json(self.heartbeat_file)
        try:
            process = Process(int(raw["pid"]), float(raw["create_time"]))
            return Heartbeat(process, float(raw["ts"]), int(raw["step"]), str(raw["phase"]), bool(raw.get("is_paused")))
        except (KeyError, TypeError, ValueError):
            return None

    def read_ticket(self) -> Ticket | None:
        """The run's place in the queue; None where it is not in it."""
        raw = self._read_json(self.path / TICKET_FILE)
        try:
            return Ticket(**{key: kind(raw[key]) for key, kind in _TICKET.items()})
        except (KeyError, TypeError, ValueError):
            return None

    def write_ticket(self, ticket: Ticket) -> None:
        write_aside(self.path / TICKET_FILE, json.dumps({"v": 1} | asdict(ticket)).encode())

    def drop_ticket(self) -> bool:
        """Take the run out of the queue; returns whether it was there."""
        try:
            (self.path / TICKET_FILE).unlink()
        except FileNotFoundError:
            return False
        return True

    def read_stop(self) -> float:
        """When the user last asked the run to stop, in seconds since 1970; 0 for never."""
        return float(self._read_json(self.path / STOP_FILE).get("ts", 0.0))

    def write_stop(self) -> None:
        write_aside(self.path / STOP_FILE, json.dumps({"v": 1, "ts": time.time()}).encode())

    @property
    def is_pause_wanted(self) -> bool:
        return (self.path / PAUSE_FILE).exists()

    def want_pause(self, is_wanted: bool) -> None:
        """Have the trainer hold after its current step, or go on."""
        if is_wanted:
            (self.path / PAUSE_FILE).touch()
        else:
            (self.path / PAUSE_FILE).unlink(missing_ok=True)

    def read_recovery(self) -> Recovery:
        raw = self._read_json(self.path / RECOVERY_FILE)
        return Recovery(int(raw.get("n_restarts", 0)), int(raw.get("step", -1)))

    def write_recovery(self, recovery: Recovery) -> None:
        write_aside(self.path / RECOVERY_FILE, json.dumps({"v": 1} | asdict(recovery)).encode())

    def read_parent(self) -> Parent | None:
        """Where the run was forked from; None for one that began at its first step."""
        raw = self._read_json(self.path / PARENT_FILE)
        try:
            return Parent(str(raw["run_id"]), str(raw["checkpoint"]), int(raw["step"]))
        except (KeyError, TypeError, ValueError):
            return None

    def write_parent(self, parent: Parent) -> None:
        write_aside(self.path / PARENT_FILE, json.dumps({"v": 1} | asdict(parent)).encode())

    def write_process(self, process: Process) -> None:
        """The process that a launcher spawned; stands in until the first heartbeat."""
        data = {"v": 1, "pid": process.pid, "create_time": process.create_time, "ts": time.time()}
        write_aside(self.process_file, json.dumps(data).encode())

    def read_process(self) -> Spawned | None:
        raw = self._read_json(self.process_file)
        try:
            return Spawned(Process(int(raw["pid"]), float(raw["create_time"])), float(raw["ts"]))
        except (KeyError, TypeError, ValueError):
            return None

    def checkpoint_names(self) -> list[str]:
        """The checkpoints that are there: last, then the one written last first."""
        found = [path for path in self.checkpoints.glob(f"*/{CHECKSUMS_FILE}") if not path.parent.name.startswith(".")]
        with suppress(FileNotFoundError):  # one that is just being replaced
            found.sort(key=lambda path: (path.parent.name != "last", -path.stat().st_mtime_ns))
        return [path.parent.name for path in found]

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint to resume from; where a crash left only its predecessor, that."""
        names = self.checkpoint_names()
        return self.checkpoints / names[0] if names else None

    def best_checkpoint(self) -> Path | None:
        """The checkpoint with the best validation gain, else the last."""
        return self._checkpoint("best") or self.last_checkpoint()

    def _checkpoint(self, name: str) -> Path | None:
        folder = self.checkpoints / name
        return folder if (folder / CHECKSUMS_FILE).is_file() else None

    def log_tail(self, n_lines: int = 200) -> list[str]:
        """The last lines of the trainer's output."""
        try:
            with self.log_file.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - 64 * 1024, 0))
                return file.read().decode(errors="replace").splitlines()[-n_lines:]
        except OSError:
            return []

    @contextmanager
    def training_lock(self, patience_s: float = LOCK_PATIENCE_S) -> Iterator[None]:
        """Held by the one trainer of the run; the system lets go of it however that ends. One that is just closing
        is waited for.

        Raises:
            RunError: another trainer holds it.
        """
        with (self.path / "trainer.lock").open("a") as file:
            deadline = time.monotonic() + patience_s
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError as error:
                    if time.monotonic() > deadline:
                        raise RunError(f"{self.run_id} is being trained by another process") from error
                    time.sleep(0.05)
            yield

    def delete(self) -> None:
        """Remove the run. Renamed first, so that a run is there whole or not at all."""
        aside = self.path.with_name(f".deleted-{self.run_id}-{secrets.token_hex(3)}")
        self.path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

    @staticmethod
    def _read_json(path: Path) -> dict[str, Any]:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return data if isinstance(data, dict) else {}
        except (OSError, ValueError):
            return {}


def claim(home: Path, config: RunConfig, now: float | None = None) -> RunDir:
    """Make the folder of a new run, named by date and name, and write its config."""
    home.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now if now is not None else time.time()))
    slug = re.sub(r"[^a-z0-9]+", "-", config.name.lower()).strip("-")[:40] or "run"
    for n in range(1, 10_000):
        run = RunDir(home / (f"{stamp}-{slug}" if n == 1 else f"{stamp}-{slug}-{n}"))
        try:
            run.path.mkdir()
        except FileExistsError:
            continue
        run.write_config(config)
        return run
    raise RunError(f"no free run id beside {stamp}-{slug} in {home}")


def claim_path(path: Path, config: RunConfig) -> RunDir:
    """Make a run at a path of the user's choice.

    Raises:
        RunError: something is there already.
    """
    if path.exists() and any(path.iterdir() if path.is_dir() else [path]):
        raise RunError(f"{path} exists and is not empty; give a new folder, or continue with --resume {path}")
    path.mkdir(parents=True, exist_ok=True)
    run = RunDir(path)
    run.write_config(config)
    return run


def all_runs(home: Path) -> Iterator[RunDir]:
    """Every run of a home, oldest name first."""
    if home.is_dir():
        for path in sorted(home.iterdir()):
            if path.is_dir() and _ID.fullmatch(path.name) and (path / "config.yaml").is_file():
                yield RunDir(path)


def find_run(name: str, home: Path) -> RunDir:
    """A run by its id, or by its directory.

    Raises:
        RunError: no such run; the text lists the newest that exist.
    """
    if _ID.fullmatch(name) and (home / name / "config.yaml").is_file():
        return RunDir((home / name).resolve())
    if (Path(name) / "config.yaml").is_file():
        return RunDir(Path(name).resolve())
    known = [run.run_id for run in all_runs(home)][-3:]
    hint = f"; newest are {', '.join(known)}" if known else "; there are no runs yet"
    raise RunError(f"no run {name!r} in {home}{hint}")


def write_board(home: Path, board: Board) -> None:
    write_aside(home / BOARD_FILE, json.dumps({"v": 1} | asdict(board)).encode())


def read_board(home: Path) -> Board | None:
    """None where no scheduler lives."""
    raw = RunDir._read_json(home / BOARD_FILE)
    try:
        board = Board(Process(int(raw["process"]["pid"]), float(raw["process"]["create_time"])), dict(raw["reasons"]))
    except (KeyError, TypeError, ValueError):
        return None
    return board if board.process.is_alive() else None
