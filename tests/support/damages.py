"""What may have happened to a folder of runs: each small file of a run, each kind and field of an event, each file of the installation."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest

from core.runs.event_fields import columns_of
from core.runs.event_types import EVENT_VERSION, RECORDS, Ended, Metrics
from core.runs.events import EventWriter
from core.runs.records import claim
from core.runs.run_dir import RunDir
from tests.support.events import record
from tests.support.runs import tiny_config

Damage = Callable[[Path], None]
N_EPISODES = 12  # of a healthy run


def refusal(read: Callable[[Path], object], path: Path, error: type[Exception]) -> str:
    """The one short line in which a reader refuses what is at ``path``, in none of a library's words about how to trust it."""
    with pytest.raises(error) as caught:
        read(path)
    told = str(caught.value)
    assert "\n" not in told
    assert 0 < len(told) < 500
    assert "weights_only" not in told
    assert "pickle" not in told.lower()
    return told


def _write(path: Path, data: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def _folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir(parents=True)


def _pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path)


def _texts(**texts: bytes | str) -> dict[str, Damage]:
    return {name.replace("_", " "): functools.partial(_write, data=data) for name, data in texts.items()}


OF_ANY_FILE: dict[str, Damage] = {
    **_texts(not_utf8=b"\xff\xfe\x00{}", nested=b"[" * 100_000, zeros=bytes(4096), a_list=b"[1, 2]", cut=b'{"a": [1, '),
    "large": functools.partial(_write, data=b" " * 5_000_000),
    "a folder": _folder,
    "a pipe": _pipe,
    "a link to itself": _loop,
}


def _link(path: Path, to: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(to)


def _elsewhere(path: Path) -> None:
    """The file as it was, but in another folder."""
    moved = path.parent.parent / f"moved {path.name}"
    path.rename(moved)
    path.symlink_to(moved)


OF_SEALED_FILE: dict[str, Damage] = {  # with checksums that may have been made to fit
    **OF_ANY_FILE,
    "nothing in it": functools.partial(_write, data=b""),
    "noise": functools.partial(_write, data=random.Random(1).randbytes(3000)),
    "half of it": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "bits of it": lambda path: path.write_bytes(bytes(b ^ (i % 97 == 0) for i, b in enumerate(path.read_bytes()))),
    "missing": Path.unlink,
    "a link elsewhere": _elsewhere,
    "a link to a device": functools.partial(_link, to=Path("/dev/zero")),
}
_NUMBERS = ("1e400", "NaN", '"soon"', "[]", "null")
SMALL_FILES: dict[str, dict[str, Any]] = {
    "heartbeat.json": {"pid": 1, "create_time": 1.0, "ts": 1.0, "step": 5, "phase": "training"},
    "process.json": {"pid": 1, "create_time": 1.0, "ts": 1.0},
    "ticket.json": {"order": 1.0, "priority": 0, "checkpoint": "", "not_before": 0.0, "cause": "", "made": 1.0},
    "stop.json": {"ts": 1.0},
    "recovery.json": {"n_restarts": 1, "step": 5},
    "parent.json": {"run_id": "a", "checkpoint": "last", "step": 5},
    "label.json": {"name": "a", "note": ""},
    "trial.json": {"study": "a", "number": 3},
    "prune.json": {"ts": 1.0, "reason": "a"},
}


def _field(name: str, field: str, value: str) -> Damage:
    """A small file in which one field has another value, as JSON text."""
    parts = [f"{json.dumps(key)}: {value if key == field else json.dumps(known)}" for key, known in SMALL_FILES[name].items()]
    return functools.partial(_write, data=f"{{{', '.join(parts)}}}")


def of_small_files() -> dict[str, tuple[str, Damage]]:
    """{what: (file, how it is done)}, each of which must be said."""
    found = {f"{name}: {what}": (name, do) for name in SMALL_FILES for what, do in OF_ANY_FILE.items()}
    for name, fields in SMALL_FILES.items():
        for field, known in fields.items():
            value = '{"x": []}' if isinstance(known, str) else _NUMBERS[len(field) % len(_NUMBERS)]
            found[f"{name}: {field} = {value}"] = (name, _field(name, field, value))
    found["ticket.json: priority = 1e400"] = ("ticket.json", _field("ticket.json", "priority", "1e400"))
    found |= {f"config.yaml: {what}": ("config.yaml", do) for what, do in OF_ANY_FILE.items() if what != "zeros"}
    configs = _texts(
        a_date="name: 2026-13-45\n", a_tab="name:\n\t- a\n", a_text="just text\n", wrong_type="total_timesteps: many\n", huge="seed: 1e400\n",
        unhashable="{[1]: 2}\n", refers_to_itself="&a {b: *a}\n", unknown="colour: red\n", laughs="a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n",
    )  # fmt: skip
    return found | {f"config.yaml: {what}": ("config.yaml", do) for what, do in configs.items()}


def _append(log: Path, line: bytes) -> None:
    with log.open("ab") as file:
        file.write(line)


def _line(**changes: Any) -> bytes:
    raw = {"v": EVENT_VERSION, "seq": 10**6, "attempt": 1, "ts": 2e9, "kind": "warning", "step": 20, "data": {"text": "a"}} | changes
    return json.dumps(raw).encode().replace(b'"HUGE"', b"1e400") + b"\n"


def _cut(log: Path) -> None:
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])


OF_ANY_LOG: dict[str, Damage] = {
    "cut": _cut, "empty": functools.partial(_write, data=b""), "gone": Path.unlink, "a folder": _folder, "a pipe": _pipe,
    "a link to itself": _loop,
}  # fmt: skip


def of_logs() -> dict[str, Damage]:
    """{what: how it is done to a log}."""
    lines: dict[str, bytes] = {
        "torn": b'{"v": 2, "seq": 7, "att', "not json": b"hello\n", "not utf8": b'{"kind": "\xff\xfe"}\n', "nested": b"[" * 100_000 + b"\n",
        "zeros": bytes(1000) + b"\n", "a number": b"5\n", "null": b"null\n", "a list": b"[1]\n", "empty lines": b"\n\n\n",
        "a long line": b'{"kind": "' + b"x" * 17_000_000 + b'"}\n', "a long torn line": b"y" * 20_000_000,
        "not utf8 inside": _line().replace(b'"a"', b'"\xff\xfe"'),
        "newer version": _line(v=99, kind="miracle"), "unknown kind": _line(kind="miracle"), "no version": _line(v=None),
    }  # fmt: skip
    for key in ("v", "seq", "attempt", "ts", "kind", "step", "data"):
        for value in ("x", [], {"a": 1}, "HUGE", -1, None, 10**30):
            lines[f"{key} = {str(value)[:12]}"] = _line(**{key: value})
    for kind in RECORDS:
        fields = ["train/loss"] if kind == Metrics.kind else [name for column in columns_of(RECORDS[kind]) for name in (column.name,)]
        for field in fields:
            for value in ("x", {"a": [1]}, {"a": "x"}, ["x", 5], "HUGE"):
                known = orjson.loads(orjson.dumps(_plain_data(kind), option=orjson.OPT_SERIALIZE_NUMPY))
                lines[f"{kind}.{field} = {str(value)[:12]}"] = _line(kind=kind, data=known | {field: value})
        lines[f"{kind} without data"] = _line(kind=kind, data={})
    lines["ended with an unknown status"] = _line(kind=Ended.kind, data={"status": "ASCENDED", "reason": "a"})
    found: dict[str, Damage] = {what: functools.partial(_append, line=line) for what, line in lines.items()}
    return found | OF_ANY_LOG


def _plain_data(kind: str) -> dict[str, Any]:
    from core.runs.event_fields import to_data

    return dict(to_data(record(kind, **({"values": {"train/loss": 1.0}} if kind == Metrics.kind else {}))))


def of_installation() -> dict[str, Callable[[Path], None]]:
    """{what: how it is done to a home}: each file beside the runs."""
    files = ["settings.yaml", "scheduler.json", "notifications.json", "alerts_read.json", "favourites.json", "curricula/mine.yaml",
             "logos/mine/manifest.csv", "batches/20260101-000000/request.json", "batches/20260101-000000/result.json",
             "batches/20260101-000000/process.json", "batches/20260101-000000/progress.json"]  # fmt: skip

    def at(name: str, do: Damage) -> Callable[[Path], None]:
        def act(home: Path) -> None:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            do(home / name)

        return act

    found = {f"{name}: {what}": at(name, do) for name in files for what, do in OF_ANY_FILE.items()}
    for stray in ("batches/stray", "logos/stray", "curricula/stray", "stray", ".stray", "20260101-000000-empty"):
        found[f"a stray folder {stray}"] = at(stray, _folder)
        found[f"a stray file {stray}.txt"] = at(f"{stray}.txt", functools.partial(_write, data=b"a"))
    for name in ("batches", "logos", "curricula"):
        found[f"{name} is a file"] = functools.partial(lambda home, name: _write(home / name, b"a"), name=name)
    found["a curriculum with another name"] = at("curricula/[x] *y*.yaml", functools.partial(_write, data=b"a: b"))
    return found


def healthy_log(run: RunDir, n_episodes: int = 12) -> None:
    """The log of a small run that ended well."""
    from tests.support.events import episode

    with EventWriter(run.events_file) as events:
        events.write(0, record("attempt_started", from_step=0))
        for i in range(n_episodes):
            events.write(i + 1, episode(i))
        events.write(n_episodes, Ended("COMPLETED", "reached total_timesteps", 0.1, 0.1))


def remove(path: Path) -> None:
    """Whatever it is."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """Damages of one file, or of one kind of event: each is done to a run of its own, in one home."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.split(":")[0].split(".")[0].split(" ")[0], []).append(name)
    return found


def made(home: Path, name: str) -> RunDir:
    """A run that has completed."""
    run = claim(home, tiny_config("builtin", name=name))
    healthy_log(run, N_EPISODES)
    return run


def ruins(home: Path) -> tuple[RunDir, dict[str, RunDir]]:
    """Every damage at once: a home in which each hits a run of its own, and all that lies beside the runs; one run's log has every
    damaged line. The healthy run, and the others by what was done to them."""
    healthy = made(home, "healthy")
    hurt = {}
    for what, (name, damage) in of_small_files().items():
        run = hurt[what] = made(home, "hurt")
        remove(run.path / name)
        damage(run.path / name)
    logs = of_logs()
    for group, names in grouped(logs).items():  # all lines of a group into one log
        run = hurt[group] = made(home, "hurt")
        for what in names:
            if run.events_file.is_file() and "long" not in what:
                logs[what](run.events_file)
    every = hurt["every line"] = made(home, "hurt")
    for what, damage in logs.items():
        if what not in OF_ANY_LOG and "long" not in what:
            damage(every.events_file)
    for what, damage in of_installation().items():
        if " is a file" not in what and "alerts_read" not in what:
            with contextlib.suppress(OSError):  # there is one thing only in each place
                damage(home)
    return healthy, hurt
