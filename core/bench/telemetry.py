"""Telemetry: what the event log costs a training, and a scalar against other loggers.

One training with configs/recommended.yaml in this process; every other rollout writes no events. The sides are the
processor time of the trainer's main thread a rollout, which the workers' noise does not touch; all of it is counted
as if it held the training up.
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.bench.preset import PRESET, settings
from core.bench.report import Report, say
from core.config.config import RunConfig
from core.config.text import load_config
from core.runs.event_types import Metrics, Record
from core.runs.events import EventWriter
from core.runs.records import claim

N_SCALARS = 20_000
_KEYS = [f"train/value_{i}" for i in range(20)]  # about what an update writes


def measure(images: str, is_short: bool = False) -> Report:
    """Run the benchmark; half of the rollouts are without events."""
    report = Report("telemetry", "Telemetry")
    _training(report, load_config(PRESET, settings(images, is_short)), 6 if is_short else 40)
    _scalars(report)
    return report


def _training(report: Report, config: RunConfig, n_rollouts: int) -> None:
    from core.training.callbacks import EpisodeLog
    from core.training.session import Extras
    from core.training.trainer import train

    config = config.model_copy(update={"total_timesteps": n_rollouts * config.rollout_steps})
    config.evaluation.every_steps = config.checkpoint.every_steps = config.total_timesteps + 1
    sides: dict[bool, list[tuple[float, float, int]]] = {True: [], False: []}  # processor seconds, seconds, events
    writes = [0]

    def count(step: int, record: Record) -> None:
        writes[0] += 1

    class EveryOtherRollout(EpisodeLog):
        """Without events in every other rollout."""

        is_writing = True

        def _on_rollout_start(self) -> None:
            self.n_written, self.busy, self.started = writes[0], time.thread_time(), time.monotonic()

        def _on_rollout_end(self) -> None:
            spent = time.thread_time() - self.busy, time.monotonic() - self.started, writes[0] - self.n_written
            sides[self.is_writing].append(spent)
            self.is_writing = not self.is_writing

        def _log(self, env: int, row: Any) -> None:
            if self.is_writing:
                super()._log(env, row)

    say(f"training {n_rollouts} rollouts, every other one without events")
    with tempfile.TemporaryDirectory() as home:
        run = claim(Path(home), config)
        train(run, extras=Extras(listeners=[count], episode_log=EveryOtherRollout))
        n_bytes = run.events_file.stat().st_size
    first = 2  # rollouts in which logos are still prepared
    busy = {side: statistics.median(s[0] for s in rollouts[first:]) for side, rollouts in sides.items()}
    rollout_s = statistics.median(s[1] for s in sides[True][first:] + sides[False][first:])
    report.keys["telemetry_overhead"] = max(busy[True] - busy[False], 0.0) / rollout_s
    n_events = statistics.median(s[2] for s in sides[True][first:])
    report.details |= {"rollout_s": rollout_s, "main_thread_with_s": busy[True], "main_thread_without_s": busy[False], "n_events": n_events}
    report.add("a rollout", f"{rollout_s:.2f} s", f"{n_events:.0f} events; plus one line of metrics per update, on both sides")
    report.add("main thread, with events", f"{busy[True] * 1000:.1f} ms", f"median of {len(sides[True]) - first} rollouts")
    report.add("main thread, without", f"{busy[False] * 1000:.1f} ms", f"median of {len(sides[False]) - first} rollouts, in turns")
    report.add("size of the log", f"{n_bytes / max(writes[0], 1):.0f} bytes per event")


def _scalars(report: Report) -> None:
    """Microseconds of one scalar in each logger, 20 per step."""
    with tempfile.TemporaryDirectory() as folder:
        loggers: dict[str, Callable[[Path], tuple[Callable[[int, dict[str, float]], Any], Callable[[], Any]]]] = {
            "event log": _event_log,
            "TensorBoard SummaryWriter": _tensorboard,
            "trackio": _trackio,
            "mlflow (sqlite)": _mlflow,
        }
        for name, make in loggers.items():
            try:
                write, close = make(Path(folder) / name.split()[0])
            except ImportError as error:
                report.add(f"a scalar, {name}", "not measured", f"{error.name or error!s} is not installed")
                continue
            say(f"scalars: {name}")
            n = N_SCALARS // len(_KEYS) if "mlflow" not in name else 20
            started = time.perf_counter()
            for step in range(n):
                write(step, dict.fromkeys(_KEYS, step * 0.5))
            each = (time.perf_counter() - started) / (n * len(_KEYS)) * 1e6
            close()
            report.add(f"a scalar, {name}", f"{each:.1f} us", "the caller's time; the rest is queued" if "log" not in name else "written")
            report.details[name] = each


def _event_log(folder: Path) -> Any:
    folder.mkdir(parents=True)
    events = EventWriter(folder / "events.jsonl")
    return (lambda step, values: events.write(step, Metrics(values))), events.close


def _tensorboard(folder: Path) -> Any:
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError("tensorboard", name="tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))

    def write(step: int, values: dict[str, float]) -> None:
        for key, value in values.items():
            writer.add_scalar(key, value, step)

    return write, writer.close


def _trackio(folder: Path) -> Any:
    import trackio  # type: ignore[import-not-found]

    trackio.init(project="bench", name="bench")
    return (lambda step, values: trackio.log(values, step=step)), trackio.finish


def _mlflow(folder: Path) -> Any:
    import mlflow

    folder.mkdir(parents=True)
    mlflow.set_tracking_uri(f"sqlite:///{folder / 'mlflow.db'}")
    mlflow.start_run()
    return (lambda step, values: mlflow.log_metrics(values, step=step)), mlflow.end_run
