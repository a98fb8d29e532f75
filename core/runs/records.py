"""The small files of a run's folder: what each says, and the one place where it is read and written.

core/runs/run_dir.py knows where they lie. Guarantees: a run id is claimed once (exclusive mkdir); every file but the log and the list of
commands is written aside and renamed, so a reader sees the old or the new, never half.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.config.config import RunConfig
from core.config.text import located, read_yaml, to_yaml, validate
from core.errors import ConfigError, RunError
from core.files import NO_ROOM, open_file, remove, write_aside
from core.locks import held
from core.machine import Process, identity
from core.runs.rounds import announce
from core.runs.run_dir import (
    COMMANDS,
    COMMANDS_FILE,
    PARENT_FILE,
    PAUSE_FILE,
    PRUNING_FILE,
    QUEUE_ENTRY_FILE,
    RECOVERY_FILE,
    SCHEDULER_FILE,
    STOP_FILE,
    TRIAL_FILE,
    RunDir,
)
from core.runs.small_files import (
    Heartbeat,
    Label,
    Moment,
    Parent,
    Pruning,
    QueueEntry,
    Recovery,
    SchedulerState,
    Spawned,
    Trial,
    damage,
    read_or_none,
)

_HEARTBEAT_BYTES = 400
LOCK_PATIENCE_S = 10.0
MAX_NAME = 80  # characters of a run's name


def peek_config(run: RunDir) -> RunConfig:
    """The config to be looked at and not changed: whoever asks gets the same one. For lists of runs, where copies cost most.

    Raises:
        ConfigError: the file is missing or not valid.
    """
    try:
        stat = run.config_file.stat()
    except (OSError, ValueError) as error:
        raise ConfigError(f"{run.config_file} can't be read: {getattr(error, 'strerror', None) or error}") from error
    return _read_config(run.config_file, stat.st_mtime_ns, stat.st_size, stat.st_ino)


def read_config(run: RunDir) -> RunConfig:
    """A config of the caller's own; raises as :func:`peek_config`."""
    return peek_config(run).model_copy(deep=True)


def write_config(run: RunDir, config: RunConfig) -> None:
    write_aside(run.config_file, to_yaml(config).encode(), within=run.path)


def read_label(run: RunDir) -> dict[str, str]:
    """Name and note as last edited: {"name": ..., "note": ...}, empty where never edited."""
    label = read_or_none(run.label_file, Label) or Label()
    return {key: value for key, value in (("name", label.name), ("note", label.note)) if value is not None}


def read_tags(run: RunDir) -> tuple[str, ...]:
    """The run's tags, in the order in which they were given."""
    label = read_or_none(run.label_file, Label)
    return tuple(label.tags) if label else ()


def problems(run: RunDir) -> list[str]:
    """What is wrong with the files of a run, one line each with what to do; empty for a healthy one."""
    found = []
    try:
        peek_config(run)
    except ConfigError as error:
        found.append(f"{run.config_file.name}: {str(error).splitlines()[0]}; fix it by hand or restore a copy")
    return [*found, *damage(run)]


def write_label(run: RunDir, name: str, note: str = "", tags: Sequence[str] | None = None) -> None:
    """``tags``: None to leave those that are there."""
    kept = list(read_tags(run) if tags is None else tags)
    write_aside(run.label_file, json.dumps({"v": 1, "name": name, "note": note, "tags": kept}).encode(), within=run.path)


def write_heartbeat(run: RunDir, beat: Heartbeat) -> None:
    """On a full disk into the file that is there: its size stays, so that it needs no room."""
    told = asdict(beat) | _marks(run)
    data = json.dumps({"v": 1} | told.pop("process") | told).ljust(_HEARTBEAT_BYTES).encode()
    try:
        write_aside(run.heartbeat_file, data, within=run.path)
    except OSError as error:
        if error.errno not in NO_ROOM or not run.heartbeat_file.exists():
            raise
        with run.heartbeat_file.open("r+b", buffering=0) as file:
            file.write(data)


def read_heartbeat(run: RunDir) -> Heartbeat | None:
    """Of the trainer of this very folder: where it is a copy of a live run's, the trainer is the other one's."""
    beat = read_or_none(run.heartbeat_file, Heartbeat)
    return beat if beat is not None and _is_of(run, beat) else None


def is_copy(run: RunDir) -> bool:
    """Whether a folder was copied from that of a run that had a trainer: what its small files say of a process is of that one."""
    told = (read_or_none(run.heartbeat_file, Heartbeat), read_or_none(run.process_file, Spawned))
    return any(each is not None and not _is_of(run, each) for each in told)


def _is_of(run: RunDir, told: Heartbeat | Spawned) -> bool:
    """Whether a file was written for this folder on this machine, or by a version that did not say so."""
    return told.folder in (0, _inode(run)) and told.machine in ("", identity())


def is_ours(run: RunDir) -> bool:
    """Whether a trainer of this very folder was started on this machine. A run that came from elsewhere starts nothing by itself."""
    marks = (_inode(run), identity())
    return any(found is not None and (found.folder, found.machine) == marks for found in (read_heartbeat(run), read_process(run)))


def _marks(run: RunDir) -> dict[str, Any]:
    """What tells a file that was written here, for this folder, from one that was copied."""
    return {"folder": _inode(run), "machine": identity()}


def _inode(run: RunDir) -> int:
    """What a folder is known by while it is renamed, and not when it is copied; 0 where it is gone."""
    try:
        return run.path.stat().st_ino
    except OSError:
        return 0


def read_queue_entry(run: RunDir) -> QueueEntry | None:
    """The run's place in the queue; None where it is not in it. The wish of whoever copied a folder in is not one of this machine's."""
    entry = read_or_none(run.path / QUEUE_ENTRY_FILE, QueueEntry)
    return entry if entry is not None and (entry.folder, entry.machine) == (_inode(run), identity()) else None


def write_queue_entry(run: RunDir, entry: QueueEntry) -> None:
    write_aside(run.path / QUEUE_ENTRY_FILE, json.dumps({"v": 1} | asdict(entry) | _marks(run)).encode(), within=run.path)
    announce(run.path.parent)


def drop_queue_entry(run: RunDir) -> bool:
    """Take the run out of the queue; returns whether it was there."""
    return remove(run.path / QUEUE_ENTRY_FILE)


def read_stop(run: RunDir) -> float:
    """When the user last asked the run to stop, in seconds since 1970; 0 for never."""
    found = read_or_none(run.path / STOP_FILE, Moment)
    return found.ts if found else 0.0


def write_stop(run: RunDir) -> None:
    write_aside(run.path / STOP_FILE, json.dumps({"v": 1, "ts": moment(run)}).encode(), within=run.path)


def moment(run: RunDir, after: float = 0.0) -> float:
    """Now in seconds since 1970, and later than whatever happened to the run before (its start, stop, wish to be queued, or ``after``),
    even where the clock was set back meanwhile: their order is what counts."""
    spawned, entry = read_process(run), read_queue_entry(run)
    before = max(after, read_stop(run), spawned.ts if spawned else 0.0, entry.made if entry else 0.0)
    return max(time.time(), before + 0.001)


def is_pause_wanted(run: RunDir) -> bool:
    return (run.path / PAUSE_FILE).exists()


def want_pause(run: RunDir, is_wanted: bool) -> None:
    """Have the trainer hold after its current step, or go on."""
    if is_wanted:
        (run.path / PAUSE_FILE).touch()
    else:
        remove(run.path / PAUSE_FILE)


def read_recovery(run: RunDir) -> Recovery:
    return read_or_none(run.path / RECOVERY_FILE, Recovery) or Recovery(0, -1)


def write_recovery(run: RunDir, recovery: Recovery) -> None:
    write_aside(run.path / RECOVERY_FILE, json.dumps({"v": 1} | asdict(recovery)).encode(), within=run.path)


def read_parent(run: RunDir) -> Parent | None:
    """Where the run was forked from; None for one that began at its first step."""
    return read_or_none(run.path / PARENT_FILE, Parent)


def write_parent(run: RunDir, parent: Parent) -> None:
    write_aside(run.path / PARENT_FILE, json.dumps({"v": 1} | asdict(parent)).encode(), within=run.path)


def read_trial(run: RunDir) -> Trial | None:
    """Which trial of a study the run is; None for a run of its own."""
    return read_or_none(run.path / TRIAL_FILE, Trial)


def write_trial(run: RunDir, trial: Trial) -> None:
    write_aside(run.path / TRIAL_FILE, json.dumps({"v": 1} | asdict(trial)).encode(), within=run.path)


def read_pruning(run: RunDir) -> Pruning | None:
    """Why its study gave the run up; None where it did not."""
    return read_or_none(run.path / PRUNING_FILE, Pruning)


def write_pruning(run: RunDir, reason: str) -> None:
    """Have the run end as PRUNED once it is asked to stop."""
    write_aside(run.path / PRUNING_FILE, json.dumps({"v": 1, "ts": moment(run), "reason": reason}).encode(), within=run.path)


def write_process(run: RunDir, process: Process, after: float = 0.0) -> None:
    """The process that a launcher spawned after the log's last event, of ``after``; stands in until the first heartbeat."""
    data = {"v": 1, "pid": process.pid, "create_time": process.create_time, "ts": moment(run, after)} | _marks(run)
    write_aside(run.process_file, json.dumps(data).encode(), within=run.path)
    announce(run.path.parent)


def read_process(run: RunDir) -> Spawned | None:
    """The process started for this very folder, as :func:`read_heartbeat`."""
    spawned = read_or_none(run.process_file, Spawned)
    return spawned if spawned is not None and _is_of(run, spawned) else None


def read_commands(run: RunDir) -> list[str]:
    """All that was given by hand to the run's curriculum, in order."""
    try:
        with open_file(run.path / COMMANDS_FILE) as file:
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line in COMMANDS]


def write_command(run: RunDir, command: str) -> None:
    """Have the trainer act on a command at its next update, after those that wait already."""
    with (run.path / COMMANDS_FILE).open("a", encoding="utf-8") as file:
        file.write(f"{command}\n")


def read_log_tail(run: RunDir, n_lines: int = 200) -> list[str]:
    """The last lines of the trainer's output."""
    try:
        with open_file(run.log_file) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - 64 * 1024, 0))
            return file.read().decode(errors="replace").splitlines()[-n_lines:]
    except OSError:
        return []


@contextmanager
def training_lock(run: RunDir, patience_s: float = LOCK_PATIENCE_S) -> Iterator[None]:
    """Held by the one trainer of the run; the system lets go of it however that ends. One that is just closing
    is waited for.

    Raises:
        RunError: another trainer holds it.
    """
    with held(run.path / "trainer.lock", RunError(f"{run.run_id} is being trained by another process"), patience_s):
        yield


def delete_run(run: RunDir) -> None:
    """Remove the run. Renamed first, so that a run is there whole or not at all."""
    aside = run.path.with_name(f".deleted-{run.run_id}-{secrets.token_hex(3)}")
    run.path.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


@lru_cache(maxsize=2000)
def _read_config(path: Path, mtime_ns: int, size: int, inode: int) -> RunConfig:
    """A config by the state of its file, since pages ask for all of them again and again."""
    return validate(read_yaml(path))


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
        write_config(run, located(config))
        return run
    raise RunError(f"no free run ID for {stamp}-{slug} in {home}")


def claim_path(path: Path, config: RunConfig) -> RunDir:
    """Make a run at a path of the user's choice.

    Raises:
        RunError: something is there already.
    """
    if path.exists() and any(path.iterdir() if path.is_dir() else [path]):
        raise RunError(f"{path} exists and is not empty; give a new folder, or continue with --resume {path}")
    path.mkdir(parents=True, exist_ok=True)
    run = RunDir(path)
    write_config(run, located(config))
    return run


def write_scheduler_state(home: Path, state: SchedulerState) -> None:
    write_aside(home / SCHEDULER_FILE, json.dumps({"v": 1} | asdict(state)).encode())


def read_scheduler_state(home: Path) -> SchedulerState | None:
    """None where no scheduler lives."""
    state = read_or_none(home / SCHEDULER_FILE, SchedulerState)
    return state if state is not None and state.process.is_alive() else None
