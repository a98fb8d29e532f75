"""A whole training against what the cores could do: the work of its steps and of preparing its pictures, over cores times its time.

What one step and one preparation take is measured on one core, which goes through that very training's latest episodes. For that the training is stopped every 15 seconds, so that
both sides see the same minutes of the machine; the time stopped is taken off. Any preset will do: the logos are those
that the trainer itself learns from, built-in ones and variants among them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.bench.preset import PRESET
from core.bench.report import Report, say
from core.config.config import RunConfig
from core.config.text import load_config
from core.environment.env import TraceEnv
from core.environment.episode import PreparedLogo
from core.environment.spec import env_spec, pipeline_of
from core.errors import BenchError
from core.machine import available_cores
from core.paths import HOME_VARIABLE, PROJECT
from core.runs.event_types import Ended, EpisodeEnded, Metrics
from core.runs.events import Event, read_backwards, read_events
from core.runs.run_dir import RunDir
from core.tracing.params import Params
from core.tracing.picture import Picture
from core.training.data_loader import load_set, training_logos

_BETWEEN_S, _REPLAYED = 15.0, 256  # how long a training goes on, and how many of its episodes one core does then


class Replay:
    """One core through the steps of a training."""

    def __init__(self, config: RunConfig) -> None:
        self._logos = {logo.name: logo for logo in training_logos(config, load_set(config).of_split("train"))}
        self._spec, self._pipeline = env_spec(config), pipeline_of(config)
        self.n_steps, self.seconds = 0, 0.0
        self.n_pictures, self.preparing_s = 0, 0.0

    def __call__(self, episodes: Sequence[EpisodeEnded]) -> None:
        """Prepare their pictures and do their steps again: each conversion under the parameters of its episode's best.

        One picture after the other, as a worker does it: thousands that are kept would have the system look for memory all the time.
        """
        by_logo: dict[str, list[EpisodeEnded]] = {}
        for episode in episodes:
            by_logo.setdefault(episode.logo, []).append(episode)
        for name, of_logo in by_logo.items():
            self._replay(name, of_logo)

    def _replay(self, name: str, episodes: Sequence[EpisodeEnded]) -> None:
        logo = self._logos[name]
        started = time.perf_counter()
        picture = Picture(logo.pixels, self._pipeline)
        prepared = PreparedLogo(name, logo.category, logo.digest, picture.features, picture.defaults)
        _ = picture.reference, picture.canvas(self._pipeline)
        self.preparing_s += time.perf_counter() - started
        self.n_pictures += 1
        env = TraceEnv([prepared], lambda _, params: picture.measure(params).outcome, self._spec)
        env.reset(seed=0)
        actions = [self._spec.actions.to_action(Params.from_values(e.params)) for e in episodes]
        started = time.perf_counter()
        for episode, action in zip(episodes, actions, strict=True):
            env.begin()
            for _ in range(episode.length):
                env.step(action)
        self.seconds += time.perf_counter() - started
        self.n_steps += sum(e.length for e in episodes)

    def work_s(self, n_steps: int, n_pictures: int) -> float:
        """What so many steps on so many pictures take one core, in seconds."""
        return n_steps * self.seconds / self.n_steps + n_pictures * self.preparing_s / max(self.n_pictures, 1)


@dataclass(frozen=True)
class _Trained:
    """A training that has ended; ``paused_s``: how long it was stopped."""

    events: list[Event]
    paused_s: float


def measure_training(report: Report, settings: list[str], preset: Path = PRESET) -> None:
    """Train with ``preset`` under changed settings ("a.b=value"), and add the figures to the report.

    Raises:
        BenchError: the training failed.
    """
    config = load_config(preset, settings)
    say(f"training {config.total_timesteps:,} steps with {preset.name}, stopped now and then for one core to do the same steps")
    replay = Replay(config)
    trained = _train(preset, settings, replay)
    if not replay.n_steps:  # a training too short to be stopped
        replay([e.data for e in trained.events if isinstance(e.data, EpisodeEnded)][-_REPLAYED:])
    _tell(report, trained, replay)


def _train(preset: Path, settings: list[str], replay: Replay) -> _Trained:
    paused = 0.0
    with tempfile.TemporaryDirectory() as home:
        run = RunDir(Path(home) / "run")
        with _trainer(preset, settings, run) as trainer:
            while trainer.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    trainer.wait(_BETWEEN_S)
                latest = _latest_episodes(run)
                if trainer.poll() is not None or len(latest) < _REPLAYED:
                    continue
                os.killpg(trainer.pid, signal.SIGSTOP)
                stopped = time.monotonic()
                replay(latest)
                os.killpg(trainer.pid, signal.SIGCONT)
                paused += time.monotonic() - stopped
        events = list(read_events(run.events_file))
        ended = next((e.data.status for e in reversed(events) if isinstance(e.data, Ended)), "without an end")
        if ended != "COMPLETED":
            raise BenchError(f"the training did not finish: it is {ended}")
        return _Trained(events, paused)


@contextlib.contextmanager
def _trainer(preset: Path, settings: list[str], run: RunDir) -> Iterator[subprocess.Popen[bytes]]:
    """A trainer in a session of its own.

    Raises:
        BenchError: it ended with an error.
    """
    home = run.path.parent
    command = [sys.executable, "-m", "core", "train", "--config", str(preset), "--run-dir", str(run.path), "--json"]
    command += [part for setting in settings for part in ("--set", setting)]
    with (home / "out").open("wb") as out:
        trainer = subprocess.Popen(
            command, cwd=PROJECT, env=os.environ | {HOME_VARIABLE: str(home)}, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield trainer
    finally:
        if trainer.poll() is None:
            os.killpg(trainer.pid, signal.SIGKILL)
            trainer.wait()
    if trainer.returncode:
        raise BenchError(f"the training failed: {(home / 'out').read_text()[-500:]}")


def _latest_episodes(run: RunDir) -> list[EpisodeEnded]:
    """The last so many episodes, none before there are metrics: then the training is under way."""
    found: list[EpisodeEnded] = []
    has_metrics = False
    for event in read_backwards(run.events_file):
        has_metrics |= isinstance(event.data, Metrics)
        if isinstance(event.data, EpisodeEnded) and len(found) < _REPLAYED:
            found.append(event.data)
        if has_metrics and len(found) == _REPLAYED:
            return found
    return []


def time_of_steps(events: Sequence[Event]) -> tuple[int, float]:
    """Steps of a training and its seconds, by its last metrics.

    Not by ``time/fps``, which stable-baselines3 rounds down to a whole number: at 6 steps per second that is a sixth.
    """
    metrics = ((e.step, e.data.values) for e in reversed(events) if isinstance(e.data, Metrics))
    return next((step, values["time/time_elapsed"]) for step, values in metrics if "time/time_elapsed" in values)


def _tell(report: Report, trained: _Trained, replay: Replay) -> None:
    metrics = [(e.step, e.data.values) for e in trained.events if isinstance(e.data, Metrics)]
    updates = [values["time/update_s"] for _, values in metrics if "time/update_s" in values]
    update_s = statistics.median(updates) * len(updates)  # the median, since a stop may fall into one
    done, elapsed = time_of_steps(trained.events)
    paused = trained.paused_s
    seconds = elapsed - paused
    fps, single, cores = done / seconds, replay.n_steps / replay.seconds, available_cores()
    n_pictures = len({e.data.logo for e in trained.events if isinstance(e.data, EpisodeEnded)})  # each is prepared when it is first drawn
    work_s = replay.work_s(done, n_pictures)
    report.keys["rollout_efficiency"] = work_s / (cores * seconds)
    report.add(
        "whole training",
        f"{fps:.0f} steps/s",
        f"{done:,} steps, with evaluations and checkpoints, minus {paused:.0f} s in which it was stopped",
    )
    report.add("one core through the same steps", f"{single:.0f} steps/s", f"{replay.n_steps:,} of them, while the training is stopped")
    report.add("the work in it, on one core", f"{work_s:.0f} s", f"{work_s - done / single:.0f} s of it to prepare {n_pictures:,} pictures")
    ended_ts, ended = next((e.ts, e.data) for e in reversed(trained.events) if isinstance(e.data, Ended))
    took = ended_ts - trained.events[0].ts - paused
    report.add("start to end", f"{took:.0f} s", f"final validation gain {ended.gain:.3f}, best {ended.best_gain:.3f}")
    report.add("PPO's updates", f"{update_s / seconds:.1%} of the time")
    report.details |= {"fps": fps, "single_core_steps_per_s": single, "update_share": update_s / seconds, "start_to_end_s": took}
