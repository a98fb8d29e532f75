"""What another tracker recorded, as a run of this installation to look at and compare with.

An imported run is a folder like any other, with a log of metrics and evaluations and a file that says where they come from; it has no
checkpoint and its log says that it is over, so nothing trains on. Guarantee: the same source gives the same run; taken in again it is left
as it is, or its log is replaced where the source has changed. Values are kept to the bit; nothing that the source holds is executed.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from core.config.config import MOST_STEPS, RunConfig
from core.config.text import parse_yaml, validate
from core.errors import ConfigError, RunError, SourceError, TracewrightError
from core.files import write_aside
from core.runs.event_types import AttemptStarted, BaselineMeasured, Ended, EvaluationEnded, Metrics, Record
from core.runs.events import LIMITS, Event, line_of
from core.runs.records import write_config, write_label
from core.runs.run_dir import RunDir
from core.runs.small_files import read_or_none
from core.runs.status import Status
from core.staging import staging
from core.trackers import event_files
from core.trackers.series import Recording, Series, parquet_files
from core.trackers.sink import BASELINE, EVALUATION, flat


def _neptune(source: Path) -> list[Recording]:
    from core.trackers import neptune  # with it come pandas and pyarrow, which no other command line needs to start

    return neptune.read(source)


FORMATS: dict[str, Callable[[Path], list[Recording]]] = {"tensorboard": event_files.read, "neptune": _neptune}
_FINDERS: dict[str, Callable[[Path], bool]] = {"tensorboard": event_files.is_there, "neptune": lambda source: any(parquet_files(source))}
LABELS = {"tensorboard": "TensorBoard", "neptune": "Neptune"}
GAIN = f"{EVALUATION}gain"
_FIGURES = {f"{EVALUATION}{f.name}": f.name for f in fields(EvaluationEnded) if f.name not in ("is_best", "by_category")}
_BY_CATEGORY = f"{EVALUATION}gain_"
Told = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Origin:
    """Where an imported run comes from. ``digest``: of all that was read; ``settings``: of theirs that are none of ours."""

    format: str
    source: str
    digest: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Imported:
    """What became of a recording. ``outcome``: imported, replaced or unchanged."""

    run_id: str
    path: str
    outcome: str
    n_series: int
    n_points: int
    note: str = ""


def import_runs(
    source: Path, home: Path, form: str = "", name: str = "", gain: str = "", told: Told = lambda what, done, n: None
) -> list[Imported]:
    """Take in every run that a file or folder of another tracker holds.

    ``form``: of FORMATS, by what is there without it; ``gain``: the series that is taken for the validation gain.

    Raises:
        SourceError: there is nothing of the kind, or it can't be read, or no run has the series ``gain``; or some of the runs can't be
            taken, after all others were.
    """
    if not source.exists():
        raise SourceError(f"{source} does not exist; give a folder of TensorBoard event files or Parquet files from neptune-exporter")
    found = form or next((kind for kind, is_there in _FINDERS.items() if is_there(source)), "")
    if not found:
        raise SourceError(f"{source} contains neither TensorBoard event files (*tfevents*) nor Parquet files from neptune-exporter")
    recordings = FORMATS[found](source)
    if gain and not any(gain in recording.series for recording in recordings):
        known = sorted({series for recording in recordings for series in recording.series})
        raise SourceError(
            f"no run in {source} has a series {gain!r}; available series: {', '.join(known[:12])}{' …' if len(known) > 12 else ''}"
        )
    made, refused = [], []
    for n, recording in enumerate(recordings, start=1):
        told(f"importing {recording.name}", n, len(recordings))
        shown = name if name and len(recordings) == 1 else f"{name} {recording.name}".strip()
        try:
            made.append(_import(recording, found, home, shown, gain))
        except (TracewrightError, OSError) as error:
            refused.append(f"{recording.name} can't be imported: {str(error).splitlines()[0]}")
    if refused:
        taken = f"; {len(made)} others of {source} were: {', '.join(one.run_id for one in made)[:2000]}" if made else ""
        raise SourceError("\n".join(refused) + taken)
    return made


def origin_of(run: RunDir) -> Origin | None:
    """Where the figures of a run come from; None for one that was trained here."""
    return read_or_none(run.imported_file, Origin)


def _import(recording: Recording, form: str, home: Path, name: str, gain: str) -> Imported:
    series = dict(recording.series)
    if gain in series:
        series[GAIN] = series.pop(gain)
    n_points = sum(len(each.steps) for each in series.values())
    run = RunDir(home / _run_id(recording, form))
    origin = Origin(form, recording.source, _digest(recording, name, gain))
    before = origin_of(run)
    told = Imported(run.run_id, str(run.path), "imported", len(series), n_points, recording.note)
    if before is not None and before.digest == origin.digest:
        return Imported(**asdict(told) | {"outcome": "unchanged"})
    if before is None and os.path.lexists(run.path):
        raise RunError(f"{run.path} already exists and was not imported; move it away first")
    config, others = _config(recording, name)
    origin = Origin(form, recording.source, origin.digest, others)
    note = f"Imported from {LABELS[form]}: {recording.source}. {recording.note}".strip()
    with staging(home, ".importing-") as folder:
        making = RunDir(folder / run.run_id)
        making.path.mkdir()
        write_config(making, config)
        write_label(making, config.name, note)
        write_aside(making.imported_file, json.dumps({"v": 1} | asdict(origin), default=str).encode())
        _write_log(making, series, LABELS[form], config)
        if before is None:
            making.path.rename(run.path)
            return told
        for file in (making.config_file, making.events_file, making.imported_file):
            os.replace(file, run.path / file.name)
    return Imported(**asdict(told) | {"outcome": "replaced"})


def _run_id(recording: Recording, form: str) -> str:
    """By when it began, its name and where it lies: the same for the same source."""
    first = min((each.ts[0] for each in recording.series.values() if len(each.ts)), default=0.0)
    slug = re.sub(r"[^a-z0-9]+", "-", recording.name.lower()).strip("-")[:40] or "run"
    key = hashlib.sha256(f"{form} {recording.source} {recording.name}".encode()).hexdigest()[:6]
    return f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(_in_range(first)))}-{slug}-{key}"


def _digest(recording: Recording, name: str, gain: str) -> str:
    found = hashlib.sha256(json.dumps([name, gain, recording.settings, recording.text], sort_keys=True, default=str).encode())
    for key, each in sorted(recording.series.items()):
        found.update(key.encode())
        for column in (each.steps, each.ts, each.values):
            found.update(np.ascontiguousarray(column).tobytes())
    return found.hexdigest()


def _config(recording: Recording, name: str) -> tuple[RunConfig, dict[str, Any]]:
    """A config with those of its settings that are ours and allowed, and the others by their names there."""
    last = max((int(each.steps.max()) for each in recording.series.values() if len(each.steps)), default=1)
    data: dict[str, Any] = {}
    if recording.text:
        try:
            data = validate(parse_yaml(recording.text)).model_dump(mode="json")
        except ConfigError:  # a text of another program's
            data = {}
    ours = {key for key, _ in flat(RunConfig().model_dump(mode="json"))} - {"name", "note", "version"}
    others: dict[str, Any] = {}
    for path, value in recording.settings.items():
        parts = path.replace("/", ".").split(".")
        known = next((key for key in (".".join(parts), ".".join(parts[1:])) if key in ours), "")
        if not known or not _put(data, known, value):
            others[path] = value
    data |= {"name": name[:80]} | ({} if recording.text else {"total_timesteps": min(max(last, 1), MOST_STEPS)})
    return validate(data), others


def _put(data: dict[str, Any], name: str, value: Any) -> bool:
    """Set one dotted setting where the whole is valid with it; returns whether it is."""
    wanted: dict[str, Any] = json.loads(json.dumps(data))
    at = wanted
    *sections, last = name.split(".")
    for section in sections:
        at = at.setdefault(section, {})
        if not isinstance(at, dict):
            return False
    at[last] = value
    try:
        validate(wanted)
    except ConfigError:
        return False
    data.clear()
    data.update(wanted)
    return True


def _write_log(run: RunDir, series: Mapping[str, Series], label: str, config: RunConfig) -> None:
    """The log of one attempt that is over: a line per step and occurrence, in the order of steps."""
    first = min((float(each.ts.min()) for each in series.values() if len(each.ts)), default=0.0)
    gains = series[GAIN].values if GAIN in series else np.zeros(0)
    gains = gains[np.isfinite(gains)]
    seq, step, ts = 1, 0, first
    with run.events_file.open("wb") as file:
        file.write(line_of(Event(1, 1, _in_range(first), 0, AttemptStarted(total_timesteps=config.total_timesteps))))
        for step, ts, record in _records(series):
            seq += 1
            file.write(line_of(Event(seq, 1, _in_range(ts), step, record)))
        reason = f"imported from {label}; for viewing and comparing only"
        last, best = (float(gains[-1]), float(gains.max())) if len(gains) else (None, None)
        file.write(line_of(Event(seq + 1, 1, _in_range(ts), step, Ended(Status.COMPLETED, reason, last, best))))
        file.flush()
        os.fsync(file.fileno())


def _in_range(ts: float) -> float:
    return ts if 0 <= ts < LIMITS["ts"] else 0.0


def _records(series: Mapping[str, Series]) -> Iterator[tuple[int, float, Record]]:
    """(step, ts, record), by step and then time; values of one step and time in one record."""
    names = list(series)
    if not names:
        return
    steps = np.concatenate([series[name].steps for name in names])
    ts = np.concatenate([series[name].ts for name in names])
    values = np.concatenate([series[name].values for name in names])
    which = np.repeat(np.arange(len(names)), [len(series[name].steps) for name in names])
    order = np.lexsort((ts, steps))
    best = -math.inf
    at = 0
    while at < len(order):
        end, here = at, {}
        step, when = int(steps[order[at]]), float(ts[order[at]])
        while end < len(order) and steps[order[end]] == step and ts[order[end]] == when and names[which[order[end]]] not in here:
            here[names[which[order[end]]]] = float(values[order[end]])
            end += 1
        for record in _as_records(here):
            if isinstance(record, EvaluationEnded):
                record = EvaluationEnded(**vars(record) | {"is_best": record.gain > best})
                best = max(best, record.gain)
            yield step, when, record
        at = end


def _as_records(values: Mapping[str, float]) -> Iterator[Record]:
    """What values of one moment say: an evaluation, baselines, and metrics for all else."""
    plain = dict(values)
    if math.isfinite(values.get(GAIN, math.nan)):
        known = {_FIGURES[name]: plain.pop(name) for name in list(plain) if name in _FIGURES}
        shares = {name.removeprefix(_BY_CATEGORY): plain.pop(name) for name in list(plain) if name.startswith(_BY_CATEGORY)}
        counts = {name: int(known.pop(name)) for name in ("n_logos", "n_failed") if 0 <= known.get(name, math.nan) < LIMITS["step"]}
        yield EvaluationEnded(**known, **counts, by_category=shares)  # type: ignore[arg-type]
    for name in [name for name in plain if name.startswith(BASELINE)]:
        yield BaselineMeasured(name.removeprefix(BASELINE), plain.pop(name))
    if plain:
        yield Metrics(plain)
