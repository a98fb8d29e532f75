"""Readers of what may come from strangers, given files that were valid once: does each say so, soon, and leave nothing behind?

In a process per seed, without a browser or a disk, so that whatever is found can be found again. Each reader has a typed error; anything else is a crash.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import random
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from core.agents.checkpoint import read_checkpoint
from core.agents.model_folder import PREPROCESS_FILE, read_folder
from core.agents.onnx_model import read_model
from core.bench.made_up import made_up
from core.bench.mutations import mutated
from core.bench.report import Report, say
from core.config.config import RunConfig
from core.config.text import parse_yaml, to_yaml, validate
from core.errors import ArchiveError, CheckpointError, ConfigError, LogosError, PictureError, RunError, TracewrightError
from core.logos.manifest import read_manifest
from core.logos.svg_source import cleaned_svg
from core.machine import MB
from core.models.registry import SHIPPED_FOLDER
from core.reports import kept
from core.runs.archive import pack
from core.runs.event_types import RECORDS, AttemptStarted, Metrics
from core.runs.events import Event, EventWriter, line_of, read_backwards, read_events
from core.runs.folders import check_readable
from core.runs.records import claim
from core.runs.run_dir import find_run
from core.runs.unpack import import_archive
from core.studies.study import find_study
from pages.server.routes import rule_of
from pages.views.chart_options import window_of

HANG_S = 5.0
MAX_TOLD = 1000  # characters of an error's line
_SHOWN = 5  # of what was found, per reader
_TELL_S = 10.0  # between two lines of progress


@dataclass(frozen=True)
class Reader:
    """``read``: takes a file's bytes; ``told``: the error that it may raise; ``weight``: its share of all executions."""

    name: str
    seeds: Sequence[bytes]
    read: Callable[[bytes], object]
    told: tuple[type[Exception], ...]
    weight: int = 10


@dataclass
class Found:
    """Of one reader. ``problems``: what was no typed error, with the number of the execution."""

    n: int = 0
    n_refused: int = 0
    n_crashes: int = 0
    n_hangs: int = 0
    slowest_s: float = 0.0
    problems: list[str] = field(default_factory=list)

    def add(self, other: Found) -> None:
        """What another process found with the same reader."""
        self.n, self.n_refused = self.n + other.n, self.n_refused + other.n_refused
        self.n_crashes, self.n_hangs = self.n_crashes + other.n_crashes, self.n_hangs + other.n_hangs
        self.slowest_s = max(self.slowest_s, other.slowest_s)
        self.problems = (self.problems + other.problems)[:_SHOWN]


@dataclass
class Measured:
    """What one process found, from one seed. ``n_left``: files and open descriptors that are left; ``grown_mb``: its memory since the start."""

    found: dict[str, Found]
    n_left: int
    grown_mb: float


def measure(executions: int, seed: int = 0, processes: int = 1) -> Report:
    """Give so many files to all readers, in processes with a seed each: ``seed``, ``seed + 1``..."""
    share = -(-executions // processes)
    if processes == 1:
        measured = [measure_one(share, seed)]
    else:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            measured = list(pool.map(measure_one, [share] * processes, range(seed, seed + processes)))
    found: dict[str, Found] = {}
    for one in measured:
        for name, part in one.found.items():
            found.setdefault(name, Found()).add(part)
    report = Report("fuzz", "Damaged files")
    for name, total in found.items():
        report.add(f"executions: {name}", f"{total.n:,}", f"{total.n_refused:,} refused; slowest {total.slowest_s:.2f} s")
        for problem in total.problems:
            report.add(f"problem: {name}", "1", problem)
    report.keys = {
        "fuzz_executions": sum(one.n for one in found.values()),
        "fuzz_crashes": sum(one.n_crashes for one in found.values()),
        "fuzz_hangs": sum(one.n_hangs for one in found.values()),
        "fuzz_left_behind": sum(one.n_left for one in measured),
        "fuzz_memory_mb": max(one.grown_mb for one in measured),
    }
    return report


def measure_one(executions: int, seed: int) -> Measured:
    """The share of one process."""
    with tempfile.TemporaryDirectory(prefix="tracewright-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as scratch:  # nosec B108
        readers = all_readers(Path(scratch))
        for reader in readers:  # what is loaded or cached with the first file counts as no leak
            fuzz(reader, 20, seed + 1)
        before, n_open = psutil.Process().memory_info().rss, _n_open()
        weights = sum(reader.weight for reader in readers)
        progress = _Progress(executions, seed)
        found = {reader.name: fuzz(reader, -(-executions * reader.weight // weights), seed, progress.done) for reader in readers}
        n_left = sum(1 for _ in (Path(scratch) / "home").iterdir()) + max(_n_open() - n_open, 0)
    return Measured(found, n_left, max((psutil.Process().memory_info().rss - before) / MB, 0.0))


class _Progress:
    """Says every few seconds how far it is, and how long it is likely to take."""

    def __init__(self, n_all: int, seed: int) -> None:
        self._n_all, self._seed, self._n = n_all, seed, 0
        self._began = self._told = time.monotonic()

    def done(self, reader: str, n_crashes: int) -> None:
        """One execution more; ``n_crashes``: that reader's so far."""
        self._n += 1
        now = time.monotonic()
        if now - self._told > _TELL_S:
            self._told = now
            left_s = (now - self._began) / self._n * (self._n_all - self._n)
            say(f"seed {self._seed}: {self._n:,} of {self._n_all:,}, {reader}, {n_crashes} crashes of it, about {left_s / 60:.0f} min left")


def fuzz(reader: Reader, n: int, seed: int, told: Callable[[str, int], None] = lambda _name, _n_crashes: None) -> Found:
    """Give so many files to a reader. ``told`` is called after each, with the reader's name and its number of crashes."""
    rng, found = random.Random(f"{seed} {reader.name}"), Found()
    for i in range(n):
        data = mutated(reader.seeds, rng)
        started = time.perf_counter()
        try:
            reader.read(data)
        except reader.told as error:
            found.n_refused += 1
            if len(str(error).splitlines()[0] if str(error) else "") not in range(1, MAX_TOLD):
                _note(found, f"execution {i} of seed {seed}: a line of {len(str(error))} characters")
        except Exception as error:  # what this is for
            _note(found, f"execution {i} of seed {seed}: {type(error).__name__}: {str(error)[:120]}")
        took = time.perf_counter() - started
        found.slowest_s, found.n, found.n_hangs = max(found.slowest_s, took), found.n + 1, found.n_hangs + (took > HANG_S)
        told(reader.name, found.n_crashes)
    return found


def _note(found: Found, problem: str) -> None:
    found.n_crashes += 1
    if len(found.problems) < _SHOWN:
        found.problems.append(problem)


def _n_open() -> int:
    return psutil.Process().num_fds() if hasattr(psutil.Process, "num_fds") else 0


def all_readers(scratch: Path) -> list[Reader]:
    """Every reader with valid files for it; they work in ``scratch``, in whose "home" nothing may be left."""
    home, file = scratch / "home", scratch / "given"
    home.mkdir()
    log = _log()

    def from_file(read: Callable[[Path], object]) -> Callable[[bytes], object]:
        def given(data: bytes) -> object:
            file.write_bytes(data)
            return read(file)

        return given

    return [
        Reader("manifest", (b"name,category,split\na,simple,training\n", "name;category\n\"ä\";text\n".encode("utf-16")), from_file(read_manifest), (LogosError,), 30),
        Reader("YAML", _configs(), _read_yaml, (ConfigError,), 15),
        Reader("event log", (log, *log.splitlines(keepends=True)), from_file(_read_log), (), 30),
        Reader("model", *_models(scratch / "model", read_folder), (RunError,), 10),
        Reader("ONNX", *_models(scratch / "onnx", read_model, SHIPPED_FOLDER / "policy.onnx"), (RunError,), 1),
        Reader("checkpoint", *_checkpoints(scratch / "checkpoint"), (CheckpointError,), 10),
        Reader("archive", *_archives(scratch, home, from_file), (ArchiveError,), 8),
        Reader("address", _ADDRESSES, _reader_of_addresses(home), (), 30),
        Reader("SVG", _SVGS, cleaned_svg, (PictureError,), 40),
    ]  # fmt: skip


_ADDRESSES = (b"20260101-000000-quick", b"1.5~200", b"/logos", b"/_stcore/upload_file/a/b", b"../../etc", b"file:mine", b"report-1")
_SVGS = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><defs><linearGradient id="a"><stop offset="0"/></linearGradient></defs>'
    b'<path style="fill:url(#a)" d="M0 0h4v4z" fill="#ff0000"/><g onclick="x()"><use href="#b"/></g></svg>',
    b'<svg width="4" height="4"><script>a</script><image href="http://a/b.png"/><style>@import url(x);</style></svg>',
)


def _configs() -> Sequence[bytes]:
    """A config with its comments, and each of its sections, which say as much and are read in a tenth of the time."""
    config = RunConfig(name="a").model_dump(mode="json")
    sections = [yaml.safe_dump({name: value}, sort_keys=False).encode() for name, value in config.items() if isinstance(value, dict)]
    plain = yaml.safe_dump({name: value for name, value in config.items() if not isinstance(value, dict | list)}, sort_keys=False)
    return (
        to_yaml(RunConfig()).encode(),
        plain.encode(),
        *sections,
        b"note: &x a\nname: *x\n",
        b"ppo: {n_steps: 256, batch_size: 64}\nn_envs: 2\n",
    )


def _read_yaml(data: bytes) -> object:
    return validate(parse_yaml(data.decode("utf-8", errors="replace")))


def _log() -> bytes:
    rng = random.Random(0)
    records = [made_up(kind, rng) for kind in RECORDS.values() if kind is not Metrics] + [Metrics({"train/loss": 1.0})]
    return b"".join(line_of(Event(i, 1, 1e9, i, record)) for i, record in enumerate(records))


def _read_log(path: Path) -> object:
    return len(list(read_events(path))) + len(list(read_backwards(path)))


def _sealed(folder: Path, name: str, data: bytes, sums: dict[str, Any]) -> None:
    (folder / name).write_bytes(data)
    sums[name] = hashlib.sha256(data).hexdigest()


def _models(folder: Path, read: Callable[[Path], object], graph: Path | None = None) -> tuple[Sequence[bytes], Callable[[bytes], object]]:
    """Either preprocess.json is damaged, or the policy of ``graph`` with checksums that fit."""
    folder.mkdir()
    for path in SHIPPED_FOLDER.glob("*.onnx"):
        (folder / path.name).write_bytes(path.read_bytes())
    told = (SHIPPED_FOLDER / PREPROCESS_FILE).read_bytes()

    def given(data: bytes) -> object:
        text = data
        if graph is not None:
            whole = json.loads(told)
            _sealed(folder, graph.name, data, whole["checksums"])
            text = json.dumps(whole).encode()
        (folder / PREPROCESS_FILE).write_bytes(text)
        return read(folder)

    return (told if graph is None else graph.read_bytes(),), given


def _checkpoints(folder: Path) -> tuple[Sequence[bytes], Callable[[bytes], object]]:
    """The state or the config is damaged, with checksums that fit, or the checksums are."""
    folder.mkdir()
    whole = {
        "policy.pt": b"none",
        "state.json": b'{"v": 1, "step": 5, "agent": {"n_updates": 1, "normaliser": null}, "rng": {}}',
        "config.yaml": b"version: 2\nname: a\n",
    }
    sums: dict[str, str] = {}
    for name, known in whole.items():
        _sealed(folder, name, known, sums)

    def given(data: bytes) -> object:
        name = "checksums.json" if b'"policy.pt"' in data else "state.json" if b'"step"' in data else "config.yaml"
        told = dict(sums)
        if name in whole:
            _sealed(folder, name, data, told)
        (folder / "checksums.json").write_bytes(data if name not in whole else json.dumps(told).encode())
        try:
            return read_checkpoint(folder)
        finally:
            if name in whole:
                (folder / name).write_bytes(whole[name])

    return (json.dumps(sums).encode(), whole["state.json"], whole["config.yaml"]), given


def _archives(scratch: Path, home: Path, from_file: Any) -> tuple[Sequence[bytes], Callable[[bytes], object]]:
    """A zip is damaged, or its manifest within a whole zip. What is taken in is removed."""
    run = claim(scratch / "there", RunConfig(name="a"))
    with EventWriter(run.events_file) as events:
        events.write(0, AttemptStarted(from_step=0, total_timesteps=1))
    packed = pack([run], scratch / "packed.zip").path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(packed)) as opened:
        files = {name: opened.read(name) for name in opened.namelist()}
    name = next(name for name in files if name.endswith(".json"))

    def given(data: bytes) -> None:
        if not data.startswith(b"PK"):
            whole = io.BytesIO()
            with zipfile.ZipFile(whole, "w") as made:
                for each, known in files.items():
                    made.writestr(each, data if each == name else known)
            data = whole.getvalue()
        for imported in from_file(lambda path: import_archive(path, home))(data):
            for path in sorted(imported.run.path.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            imported.run.path.rmdir()

    return (packed, files[name]), given


def _reader_of_addresses(home: Path) -> Callable[[bytes], object]:
    """What pages and routes make of parameters and paths."""

    def given(data: bytes) -> None:
        text = data.decode("utf-8", errors="surrogateescape")
        rule_of(text)
        window_of(text)
        for look in (find_run, find_study, lambda name, home: kept.find(home, name), check_readable):
            with suppress(TracewrightError):
                look(text, home)

    warnings.filterwarnings("ignore", message=".*ScriptRunContext.*")
    return given
