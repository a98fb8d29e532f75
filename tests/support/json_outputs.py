"""What every command prints with ``--json``: small real calls of all of them, and docs/json.md read as a description to hold them against."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from core.access import audit
from core.cli.app import app
from core.config.config import CurriculumConfig, RunConfig
from core.config.installation import Settings, write_settings
from core.config.text import to_yaml
from core.curriculum import library
from core.evaluation import choices
from core.logos.dataset import write_logos as write_built_in
from core.machine import Process
from core.runs import trash
from core.runs.event_types import AlertRaised, Metrics
from core.runs.events import EventWriter
from core.runs.run_dir import RunDir, all_runs
from core.runs.status import Status, run_state
from core.scheduling import local
from tests.support.batches import made_up_batch
from tests.support.logos import draw_logo
from tests.support.recorded import Recordings
from tests.support.runs import BY_VTRACER_ALONE, await_status, await_step, tiny_config
from tests.support.series import write_series_run
from tests.support.studies import made_up

Path_ = tuple[str, ...]  # keys from the outside in; "[]" stands for the items of a list


class Outputs:
    """Calls commands in this process and keeps what each printed."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.found: dict[str, list[dict[str, Any]]] = defaultdict(list)

    def call(self, command: str, *arguments: object, code: int = 0) -> dict[str, Any]:
        done = CliRunner().invoke(app, [*command.split(), *map(str, arguments), "--json"], env={"TRACEWRIGHT_HOME": str(self.home)})
        assert done.exit_code == code, (command, done.output, done.exception)
        printed: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        self.found[command].append(printed)
        return printed


def every_output(tmp_path: Path, recordings: Recordings) -> dict[str, list[dict[str, Any]]]:
    """{command: what it printed}, for every command, each on small real things."""
    home = tmp_path / "home"
    out = Outputs(home)
    stages = {"enabled": True, "min_episodes": 8, "window": 8}
    run = recordings.tiny(home)
    other = recordings.tiny(home, seed=2, curriculum=stages)
    _runs(out, run, other, tmp_path)
    _data(out, run, other, tmp_path)
    _logos(out, recordings, tmp_path)
    _models(out, run, other, tmp_path)
    _learning(out, run, recordings, tmp_path)
    _curricula(out, other)
    _studies(out, recordings, tmp_path)
    _live(out, recordings)
    _series(out.found, recordings, tmp_path)
    out.call("runs delete", other.run_id, "--yes")
    out.call("rebuild")
    audit.record(home, audit.now_entry("ada@example.com", "admin", "run.start", "quick", "allowed"))
    out.call("audit")
    out.call("licences")
    out.call("licences", "--sbom", str(tmp_path / "sbom.json"))
    return dict(out.found)


def _runs(out: Outputs, run: RunDir, other: RunDir, tmp_path: Path) -> None:
    with EventWriter(run.events_file) as log:
        log.write(96, Metrics({"train/loss": math.nan}))
        log.write(
            96,
            AlertRaised(rule="plateau", severity="warning", step=96, title="No rise", evidence="none", cause="a cause", remedy="a remedy"),
        )
    (out.home / "with a space").mkdir()
    (out.home / "with a space" / "config.yaml").write_text(to_yaml(RunConfig()))
    out.call("runs baseline", run.run_id)
    out.call("runs note", run.run_id, "a note")
    out.call("runs rename", run.run_id, "a name")
    out.call("runs tags", run.run_id, "--add", "night")
    out.call("runs list")
    out.call("runs baseline", "--none")
    out.call("runs show", run.run_id)
    out.call("runs show", other.run_id)
    out.call("runs health", run.run_id)
    out.call("runs alerts")
    out.call("runs compare", run.run_id, other.run_id)
    out.call("runs archive", run.run_id)
    out.call("runs archive", run.run_id, "--undo")
    shutil.rmtree(out.home / "with a space")


def _data(out: Outputs, run: RunDir, other: RunDir, tmp_path: Path) -> None:
    out.call("export", run.run_id, other.run_id, "--out", tmp_path / "csv")
    out.call("export", run.run_id, "--format", "archive", "--out", tmp_path / "archive")
    out.call("export", run.run_id, "--format", "onnx", "--out", tmp_path / "onnx")
    out.call("export", run.run_id, "--format", "tensorboard", "--out", tmp_path / "tb")
    out.call("import", tmp_path / "archive" / f"{run.run_id}.zip", "--as", "again")
    out.call("import", tmp_path / "tb")
    out.call("film", run.run_id, "--out", tmp_path / "film.webp")
    out.call("report", run.run_id, "--out", tmp_path / "report.html", "--keep")
    out.call("report", "--list")
    row = choices.Choice(time.time(), f"run/{run.run_id}", "logo", "0" * 16, "simple", "one", "two", "a", "a", 1.0)
    choices.keep(out.home, row)
    out.call("choices")


def _logos(out: Outputs, recordings: Recordings, tmp_path: Path) -> None:
    write_built_in(tmp_path / "built-in", 1, 4, 96)
    (tmp_path / "nothing.svg").write_text("no vector")
    folder = tmp_path / "mixed"
    shutil.copytree(recordings.logos, folder)
    shutil.copy(folder / "simple" / "logo 0.png", folder / "text" / "copy of 0.png")
    (folder / "simple" / "broken.png").write_bytes(b"no picture")
    draw_logo(0, 50).save(folder / "complex" / "nearly 0.png")
    picture = folder / "simple" / "logo 0.png"
    out.call("logos make", "--out", tmp_path / "made", "--per-category", 4, "--size", 64)
    out.call("logos check", folder)
    added = out.call("logos add", "mine", picture, folder / "text" / "logo 1.png", folder / "simple" / "broken.png")
    out.call("logos label", added["set"], "logo 0", "--category", "text")
    out.call("logos delete", added["set"], "--yes")
    out.call("logos trace", picture, "--out", tmp_path / "one.svg")
    made = next((tmp_path / "built-in").rglob("*.png"))
    source = next((tmp_path / "built-in").rglob(f"{made.stem}.svg"))
    out.call("logos judge", source, made, source, tmp_path / "nothing.svg")


def _models(out: Outputs, run: RunDir, other: RunDir, tmp_path: Path) -> None:
    first = out.call("models register", run.run_id, "--name", "first", "--promote")
    second = out.call("models register", other.run_id, "--name", "second")
    out.call("models list")
    out.call("models show", first["model"])
    out.call("models note", first["model"], "a note")
    out.call("models compare", first["model"], second["model"])
    out.call("models export", first["model"], "--out", tmp_path / "mine of it")
    out.call("models delete", second["model"])
    out.call("models restore", second["model"])
    out.call("models promote", second["model"])


def _learning(out: Outputs, run: RunDir, recordings: Recordings, tmp_path: Path) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(to_yaml(tiny_config(recordings.logos, total_timesteps=32)))
    out.call("train", "--config", config)
    budgets = ("--budgets", "1,2", "--methods", "default,single,policy,policy_search")
    out.call("evaluate", "--model", run.run_id, *budgets)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    out.call(
        "optimize", recordings.logos / "simple", broken, "--model", run.run_id, "--budget", 2, "--max-side", 64, "--out", tmp_path / "svgs"
    )
    batch = made_up_batch(out.home)
    out.call("batches list")
    out.call("batches choose", batch.batch_id, "one.svg", "--take", "faithful")
    out.call("batches show", "last")
    out.call("batches zip", batch.batch_id, tmp_path / "accepted.zip")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as worker:  # as if this one worked on it
        process = Process.of(worker.pid)
        (batch.path / "process.json").write_text(json.dumps({"v": 1, "pid": process.pid, "create_time": process.create_time}))
        out.call("batches cancel", batch.batch_id)
    out.call("batches delete", batch.batch_id)
    out.call("batches restore", batch.batch_id)
    fitted = tmp_path / "fitted.json"
    out.call("baselines fit", "--images", recordings.logos, "--out", fitted, "--work-size", 48, "--singles", 1, "--each", 1, "--size", 1)
    out.call("baselines show", fitted)
    out.call("bench", "ingest", "--short")


def _curricula(out: Outputs, other: RunDir) -> None:
    library.write(out.home, "mine", CurriculumConfig())
    out.call("curricula list")
    out.call("curricula show", "mine")
    out.call("curricula whatif", other.run_id)


def _studies(out: Outputs, recordings: Recordings, tmp_path: Path) -> None:
    folder = made_up(out.home, n=24, n_trials=24)
    study = folder.study_id
    folder.write_process(Process.of(os.getpid()))  # as if this one worked on it
    out.call("search stop", study)
    folder.drop_process()
    out.call("search list")
    out.call("search show", study)
    out.call("search best", study)
    queued = out.call("search train", study)
    out.call("runs cancel", queued["run"])  # or the study below would have it trained in full
    out.call("search preset", study, "winner")
    (tmp_path / "base.yaml").write_text(to_yaml(tiny_config(recordings.logos, total_timesteps=32)))
    wanted = {"config": "base.yaml", "space": {"ppo.n_epochs": {"low": 1, "high": 3}}, "n_trials": 1, "evaluations": 1, "pruner": "none"}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(wanted))
    done = out.call("search", "--config", tmp_path / "study.yaml")
    out.call("search continue", done["study"])
    out.call("search delete", study, "--yes")


def _live(out: Outputs, recordings: Recordings) -> None:
    """What is asked of a run that trains, waits or is over."""
    write_settings(out.home, Settings.model_validate({"notify": {"urls": ["json://localhost:9/nobody"]}}))
    config = tiny_config(recordings.logos, total_timesteps=500_000, curriculum={"enabled": True, "probe": False})
    run = local.start(out.home, config)
    await_step(run, 32)
    out.call("runs stage", run.run_id, "hold")
    out.call("runs pause", run.run_id)
    await_status(run, Status.PAUSED)
    out.call("runs continue", run.run_id)
    out.call("runs stop", run.run_id)
    await_status(run, Status.STOPPED)
    out.call("runs resume", run.run_id, "--queue")
    out.call("runs move", run.run_id, "first")
    out.call("runs queue")
    (out.home / "tiny.yaml").write_text(to_yaml(config))
    queued = out.call("runs queue", "--config", out.home / "tiny.yaml")
    out.call("runs cancel", queued["run"])
    out.call("runs fork", run.run_id)
    out.call("runs cancel", run.run_id)
    out.call("runs notify", code=1)
    trash.discard(run)
    out.call("runs restore", run.run_id)


def _series(found: dict[str, list[dict[str, Any]]], recordings: Recordings, tmp_path: Path) -> None:
    """What is asked of several seeds of several configs; in a home of its own, with made-up logs."""
    out = Outputs(tmp_path / "series")
    out.found = found  # type: ignore[assignment]
    for rate in (0.001, 0.01):
        for seed in (1, 2, 3):
            write_series_run(out.home, [0.0, 0.5 + 10 * rate + seed / 100], by_logo=[0.0, 0.1], seed=seed, ppo={"learning_rate": rate})
    out.call("runs groups")
    out.call("runs efficiency")
    out.call("runs importance")
    config = tmp_path / "one.yaml"
    config.write_text(to_yaml(tiny_config(recordings.logos, total_timesteps=32, pipeline=BY_VTRACER_ALONE)))
    out.call("runs schedules", "--config", config, "--seeds", "1", "--vary", "ppo.lr_schedule=constant,cosine", "--no-wait")
    for run in all_runs(out.home):
        if run_state(run).status is Status.QUEUED:
            out.call("runs cancel", run.run_id)
    out.call("runs serve", "--until-idle")


def paths_of(value: Any, path: Path_ = ()) -> Iterator[tuple[Path_, Any]]:
    """Every (path, value) below a value, containers included."""
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from paths_of(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from paths_of(inner, (*path, "[]"))


_PLAIN = {
    "text": lambda v: isinstance(v, str),
    "whole number": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "true or false": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "object": lambda v: isinstance(v, dict),
    "anything": lambda v: True,
}


def is_of(value: Any, told: str) -> bool:
    """Whether a value is of a type as the page writes it: ``text``, ``number or null``, ``list of text``, ``list of lists``."""
    if told in _PLAIN:
        return bool(_PLAIN[told](value))
    if told.startswith("list of "):
        return isinstance(value, list) and all(is_of(inner, told.removeprefix("list of ")) for inner in value)
    parts = re.split(r" or (?=null|text|number|whole|object|list)", told)
    return len(parts) > 1 and any(is_of(value, part) for part in parts)


class Described:
    """One section of docs/json.md: {path: type}; a part in capitals stands for any key."""

    def __init__(self, commands: Iterable[str], rows: dict[Path_, str]) -> None:
        self.commands, self.rows = list(commands), rows
        self.seen: set[Path_] = set()

    def problem(self, path: Path_, value: Any) -> str:
        """What is wrong with a value that was printed, or ""."""
        shown = ".".join(path)
        if any((row := self._row(path[:n])) and self.rows[row].startswith(("object", "anything", "list")) for n in range(1, len(path))):
            return ""  # below something that is described as a whole
        row = self._row(path)
        if row is None:
            has_below = any(self._fits(known[: len(path)], path) for known in self.rows)
            is_empty = value in ({}, [], None)
            return "" if has_below and (isinstance(value, dict | list) or is_empty) else f"{shown} is not described"
        self.seen.add(row)
        return "" if is_of(value, self.rows[row]) else f"{shown} = {value!r} is not {self.rows[row]}"

    def _row(self, path: Path_) -> Path_ | None:
        found = [row for row in self.rows if len(row) == len(path) and self._fits(row, path)]
        return min(found, key=lambda row: sum(part.isupper() for part in row), default=None)

    @staticmethod
    def _fits(row: Path_, path: Path_) -> bool:
        return len(row) == len(path) and all(told == found or told.isupper() for told, found in zip(row, path, strict=True))


def described(text: str) -> list[Described]:
    """The sections of docs/json.md: a heading with commands, then a table of key, type and meaning."""
    found = []
    for heading, body in re.findall(r"^### ([^\n]+)\n(.*?)(?=^##|\Z)", text, re.MULTILINE | re.DOTALL):
        rows = {}
        for key, told in re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", body, re.MULTILINE):
            rows[tuple(part for part in key.replace("[]", ".[]").split(".") if part)] = told.strip()
        found.append(Described(re.findall(r"`([^`]+)`", heading), rows))
    return found
