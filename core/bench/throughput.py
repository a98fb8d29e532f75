"""Throughput: the step against VTracer alone and against a plain script, the pool, and a whole training.

- naive step: PNG file in, SVG file out, resvg to a PNG, scikit-image's SSIM. What a script by hand does.
- our step: ``TraceEnv.step``: trace, draw, compare, reward, observation.
- pool: ``PoolVecEnv`` with 1 to all cores; SB3's ``SubprocVecEnv`` with one process a core and the same environment.
- training: ``time/fps`` of ``python -m core train`` with configs/recommended.yaml, against cores times the rate at which
  one core steps through that very training's latest episodes. For that the training is stopped every 15 seconds, so
  that both sides see the same minutes of the machine; the time stopped is taken off.
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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import vtracer

from core.bench.report import Report, say, take_turns
from core.config.config import RunConfig
from core.config.text import load_config
from core.environment.env import TraceEnv
from core.environment.episode import EnvSpec, PreparedLogo
from core.environment.preparation import Preparations
from core.environment.spec import env_spec
from core.errors import BenchError
from core.logos.dataset import Logo, load_logos
from core.machine import available_cores
from core.paths import PROJECT
from core.runs.event_types import Ended, EpisodeEnded, Metrics
from core.runs.events import read_backwards, read_events
from core.runs.run_dir import RunDir
from core.tracing.outcome import HEADLINE
from core.tracing.params import DEFAULTS, N_PARAMS, SPECS, ActionMap, Params
from core.tracing.picture import Picture
from core.tracing.similarity import Reference
from core.tracing.tracer import FILTER_SPECKLE, trace
from core.training.data_loader import load_set
from core.workers.picture_store import PictureStore
from core.workers.pool import WorkerPool

_BETWEEN_S, _REPLAYED = 15.0, 256  # how long a training goes on, and how many of its steps one core does then
WORK_SIZE = 256
_SPEC = EnvSpec(1, DEFAULTS, HEADLINE)  # action 0 is VTracer's defaults


def measure(images: str, n_repeats: int, n_logos: int, train_steps: int) -> Report:
    """Run the benchmark; ``n_logos`` = 0 takes all, ``train_steps`` = 0 the whole of configs/recommended.yaml.

    Raises:
        BenchError: a package that only the benchmark needs is missing.
    """
    report = Report("throughput", "Throughput")
    logos = list(load_logos(images, WORK_SIZE).logos)
    logos = logos[:: max(len(logos) // n_logos, 1)][:n_logos] if n_logos else logos
    pictures = [Picture(logo.pixels) for logo in logos]
    prepared = [PreparedLogo(o.name, o.category, o.digest, p.features, p.defaults) for o, p in zip(logos, pictures, strict=True)]
    report.add("logos", f"{len(logos)}", f"at {WORK_SIZE} px")
    _steps(report, pictures, prepared, n_repeats)
    _similarity(report, pictures, n_repeats)
    _preparation(report, logos)
    _pool(report, images, logos, n_repeats)
    _training(report, images, train_steps)
    return report


def _steps(report: Report, pictures: list[Picture], prepared: list[PreparedLogo], n_repeats: int) -> None:
    env = TraceEnv(prepared, lambda i, params: pictures[i].measure(params).outcome, _SPEC)
    env.reset(seed=0)
    actions, rng = ActionMap(DEFAULTS), np.random.default_rng(0)

    with tempfile.TemporaryDirectory() as folder:
        naive = NaiveStep(Path(folder))
        for mode, suffix in (("defaults", ""), ("random parameters", "_random")):
            say(f"steps at {mode}")
            totals: dict[str, float] = {}
            for i, picture in enumerate(pictures):
                action = np.zeros(N_PARAMS, np.float32) if not suffix else rng.uniform(-1, 1, N_PARAMS).astype(np.float32)
                params = actions.to_params(action)

                def step(i: int = i, action: Any = action) -> None:
                    env.index = i
                    env.begin()
                    env.step(action)

                sides: dict[str, Callable[[], None]] = {
                    "VTracer alone": lambda picture=picture, params=params: (trace(picture.png, params), None)[1],  # type: ignore[misc]
                    "our step": step,
                    "naive step": lambda picture=picture, params=params: naive(picture, params),  # type: ignore[misc]
                }
                for name, seconds in take_turns(sides, n_repeats).items():
                    totals[name] = totals.get(name, 0.0) + seconds
            mean = {name: seconds / len(pictures) * 1000 for name, seconds in totals.items()}
            report.keys[f"step_over_vtracer{suffix}"] = mean["our step"] / mean["VTracer alone"]
            if not suffix:
                report.keys["naive_over_step"] = mean["naive step"] / mean["our step"]
            for name, ms in mean.items():
                report.add(f"{name}, {mode}", f"{ms:.2f} ms")
            report.details[mode] = mean


class NaiveStep:
    """A step as a script by hand makes it."""

    def __init__(self, folder: Path) -> None:
        try:
            import resvg_py
        except ImportError as error:
            raise BenchError("the naive step needs resvg_py: pip install -r requirements-bench.txt") from error
        self._resvg = resvg_py
        self._in, self._out = folder / "in.png", folder / "out.svg"

    def __call__(self, picture: Picture, params: Params) -> None:
        import io

        from PIL import Image

        self._in.write_bytes(picture.png)
        vtracer.convert_image_to_svg_py(str(self._in), str(self._out), filter_speckle=FILTER_SPECKLE, **_whole(params))
        svg = self._out.read_text()
        png = self._resvg.svg_to_bytes(svg_string=svg, background="white", skip_system_fonts=True)
        drawn = np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGB"))
        scikit_ssim(picture.pixels, drawn)


def scikit_ssim(a: Any, b: Any) -> float:
    from skimage.metrics import structural_similarity

    return float(structural_similarity(a, b, channel_axis=2, data_range=255))  # type: ignore[no-untyped-call]


def _whole(params: Params) -> dict[str, Any]:
    return {spec.argument: (int if spec.is_integer else float)(getattr(params, spec.name)) for spec in SPECS}


def _similarity(report: Report, pictures: Sequence[Picture], n_repeats: int) -> None:
    from core.tracing.raster import rasterizer

    say("SSIM")
    ours = theirs = worst = 0.0
    for picture in pictures[:: max(len(pictures) // 40, 1)]:
        height, width = picture.pixels.shape[:2]
        drawn = rasterizer().draw(picture.by_defaults.trace.svg.encode(), width, height)
        reference = Reference(picture.pixels)
        seconds = take_turns(
            {
                "ours": lambda r=reference, d=drawn: (r.ssim(d), None)[1],  # type: ignore[misc]
                "theirs": lambda p=picture, d=drawn: (scikit_ssim(p.pixels, d), None)[1],  # type: ignore[misc]
            },
            n_repeats,
        )
        ours, theirs = ours + seconds["ours"], theirs + seconds["theirs"]
        worst = max(worst, abs(scikit_ssim(picture.pixels, drawn) - reference.ssim(drawn)))
    report.add("scikit-image's SSIM over ours", f"{theirs / ours:.1f}", f"largest difference {worst:.1e}")
    report.details |= {"ssim_over_ours": theirs / ours, "ssim_difference": worst}


def _preparation(report: Report, logos: list[Logo]) -> None:
    """Once a picture and run: features and VTracer's defaults."""
    say("preparation")
    sample = logos[:: max(len(logos) // 40, 1)]
    started = time.perf_counter()
    for logo in sample:
        picture = Picture(logo.pixels)
        _ = picture.reference, picture.features, picture.by_defaults
    report.add(
        "preparing a logo, once", f"{(time.perf_counter() - started) / len(sample) * 1000:.1f} ms", "features and VTracer's defaults"
    )


def _pool(report: Report, images: str, logos: list[Logo], n_repeats: int) -> None:
    from stable_baselines3.common.vec_env import SubprocVecEnv

    from core.environment.vec_env import PoolVecEnv

    cores = available_cores()
    prepared: list[PreparedLogo] = []
    opened: dict[str, Any] = {}
    n_steps = {}
    try:
        for n in range(1, cores + 1):
            pool = WorkerPool(PictureStore.create(logos), n)
            preparations = Preparations(logos)
            preparations.prepare(pool, range(len(logos)))
            prepared = [preparations[i] for i in range(len(logos))]
            name = f"pool, {n} worker{'s' if n > 1 else ''}"
            opened[name], n_steps[name] = PoolVecEnv(pool, preparations, _SPEC, 64, seed=n), 12
        for n, n_rounds in ((cores, 768 // cores), (16, 48)):
            name = f"SubprocVecEnv, {n} processes"
            opened[name] = SubprocVecEnv([_EnvMaker(images, prepared, [o.digest for o in logos], k) for k in range(n)])
            n_steps[name] = n_rounds
        rng = np.random.default_rng(0)
        rates: dict[str, list[float]] = {name: [] for name in opened}
        for vec_env in opened.values():
            vec_env.reset()
        for repeat in range(n_repeats):
            for name, vec_env in opened.items():
                say(f"{name}, repeat {repeat + 1} of {n_repeats}")
                started = time.perf_counter()
                for _ in range(n_steps[name]):
                    vec_env.step(rng.uniform(-1, 1, (vec_env.num_envs, N_PARAMS)).astype(np.float32))
                rates[name].append(n_steps[name] * vec_env.num_envs / (time.perf_counter() - started))
    finally:
        for vec_env in opened.values():
            vec_env.close()
    rate = {name: statistics.median(values) for name, values in rates.items()}
    best, subproc = f"pool, {cores} worker{'s' if cores > 1 else ''}", f"SubprocVecEnv, {cores} processes"
    report.keys["pool_over_subproc"] = rate[best] / rate[subproc]
    for name, value in rate.items():
        report.add(
            name,
            f"{value:.0f} steps/s",
            "random parameters" + ("; 64 environments" if name.startswith("pool") else "; one environment each"),
        )
    report.details["pool_steps_per_s"] = rate


class _EnvMaker:
    """Makes an environment in a process of SubprocVecEnv."""

    def __init__(self, images: str, prepared: list[PreparedLogo], digests: list[str], seed: int) -> None:
        self.images, self.prepared, self.digests, self.seed = images, prepared, digests, seed

    def __call__(self) -> TraceEnv:
        import cv2

        cv2.setNumThreads(1)
        wanted = {logo.digest: logo for logo in load_logos(self.images, WORK_SIZE).logos}
        pictures = [Picture(wanted[digest].pixels) for digest in self.digests]
        env = TraceEnv(self.prepared, lambda i, params: pictures[i].measure(params).outcome, _SPEC)
        env.reset(seed=self.seed)
        return env


class _Replay:
    """One core through the steps of a training."""

    def __init__(self, config: RunConfig) -> None:
        self._logos = {logo.name: logo for logo in load_set(config).logos}
        self._spec = env_spec(config)
        self._places: dict[str, int] = {}
        self._pictures: list[Picture] = []
        self._prepared: list[PreparedLogo] = []
        self.n_steps, self.seconds = 0, 0.0

    def __call__(self, episodes: Sequence[EpisodeEnded]) -> None:
        for name in sorted({e.logo for e in episodes} - set(self._places)):  # not counted: a run prepares a logo once
            picture, logo = Picture(self._logos[name].pixels), self._logos[name]
            self._places[name] = len(self._pictures)
            self._pictures.append(picture)
            self._prepared.append(PreparedLogo(name, logo.category, logo.digest, picture.features, picture.defaults))
            _ = picture.reference
        env = TraceEnv(self._prepared, lambda i, params: self._pictures[i].measure(params).outcome, self._spec)
        env.reset(seed=0)
        actions = [self._spec.actions.to_action(Params.from_values(e.params)) for e in episodes]
        started = time.perf_counter()
        for episode, action in zip(episodes, actions, strict=True):
            env.index = self._places[episode.logo]
            env.begin()
            env.step(action)
        self.seconds += time.perf_counter() - started
        self.n_steps += len(episodes)


def _training(report: Report, images: str, n_steps: int) -> None:
    settings = [f"logos.path={images}"] + ([f"total_timesteps={n_steps}"] if n_steps else [])
    config = load_config(PROJECT / "configs" / "recommended.yaml", settings)
    with tempfile.TemporaryDirectory() as home:
        say(
            f"training {config.total_timesteps:,} steps with configs/recommended.yaml, stopped now and then for one core to do the same steps"
        )
        replay, run = _Replay(config), RunDir(Path(home) / "run")
        command = [sys.executable, "-m", "core", "train", "--config", "configs/recommended.yaml", "--run-dir", str(run.path), "--json"]
        command += [part for setting in settings for part in ("--set", setting)]
        with (Path(home) / "out").open("wb") as out:
            trainer = subprocess.Popen(
                command, cwd=PROJECT, env=os.environ | {"TRACEWRIGHT_HOME": home}, stdout=out, stderr=out, start_new_session=True
            )
        paused = 0.0
        try:
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
        finally:
            if trainer.poll() is None:
                os.killpg(trainer.pid, signal.SIGKILL)
                trainer.wait()
        if trainer.returncode:
            raise BenchError(f"the training failed: {(Path(home) / 'out').read_text()[-500:]}")
        events = list(read_events(run.events_file))
    metrics = [(e.step, e.data.values) for e in events if isinstance(e.data, Metrics)]
    updates = [values["time/update_s"] for _, values in metrics if "time/update_s" in values]
    update_s = statistics.median(updates) * len(updates)  # the median, since a stop may fall into one
    done, reported = next((step, values["time/fps"]) for step, values in reversed(metrics) if "time/fps" in values)
    if not replay.n_steps:  # a training too short to be stopped
        replay([e.data for e in events if isinstance(e.data, EpisodeEnded)][-_REPLAYED:])
    seconds = done / reported - paused
    fps, single, cores = done / seconds, replay.n_steps / replay.seconds, available_cores()
    report.keys["rollout_efficiency"] = fps / (cores * single)
    report.add(
        "whole training (time/fps)", f"{fps:.0f} steps/s", f"{done:,} steps, with evaluations and checkpoints, less {paused:.0f} s stopped"
    )
    report.add("one core through the same steps", f"{single:.0f} steps/s", f"{replay.n_steps:,} of them, while the training is stopped")
    ended_ts, ended = next((e.ts, e.data) for e in reversed(events) if isinstance(e.data, Ended))
    took = ended_ts - events[0].ts - paused
    report.add("start to end", f"{took:.0f} s", f"final validation gain {ended.gain:.3f}, best {ended.best_gain:.3f}")
    report.add("PPO's updates", f"{update_s / seconds:.1%} of the time")
    report.details |= {"fps": fps, "single_core_steps_per_s": single, "update_share": update_s / seconds}


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
