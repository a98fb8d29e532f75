"""Throughput: the step against VTracer alone and against a plain script, the pool, and a whole training.

- naive step: PNG file in, SVG file out, resvg to a PNG, scikit-image's SSIM. What a script by hand does.
- our step: ``TraceEnv.step``: trace, draw, compare, reward, observation.
- pool: ``PoolVecEnv`` with 1 to all cores; SB3's ``SubprocVecEnv`` with one process per core and the same environment.
- training: see ``whole_training``.
"""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from core.bench.preset import settings
from core.bench.report import Report, say, take_turns
from core.bench.whole_training import measure_training
from core.environment.env import TraceEnv
from core.environment.episode import EnvSpec, PreparedLogo
from core.environment.preparation import Preparations
from core.environment.vec_env import PoolVecEnv
from core.errors import BenchError
from core.logos.dataset import Logo, load_logos
from core.machine import available_cores
from core.paths import how_to_install
from core.tracing.engines import engine
from core.tracing.outcome import HEADLINE
from core.tracing.params import BEST_SINGLE, N_PARAMS, Params
from core.tracing.picture import Picture, encode_png
from core.tracing.pipeline import PLAIN, Canvas, Pipeline
from core.tracing.pipeline import settings as told
from core.tracing.raster import rasterizer
from core.tracing.similarity import Reference
from core.workers.picture_store import PictureStore
from core.workers.pool import WorkerPool

WORK_SIZE = 256
PIPELINE = Pipeline()
TRAINED_STEPS = 3072  # of the preset's, in the whole form; six updates
_SPEC = EnvSpec(1, BEST_SINGLE, HEADLINE)  # action 0 is the best single setting


@dataclass(frozen=True)
class _Size:
    """How much is measured; ``n_logos`` = 0 takes all."""

    n_repeats: int
    n_logos: int = 0
    n_processes: int = 16  # of the second SubprocVecEnv
    n_steps: int = 768  # of every vectorised environment per repeat, about


def measure(images: str, n_repeats: int, is_short: bool = False) -> Report:
    """Run the benchmark.

    Raises:
        BenchError: a package that only the benchmark needs is missing, or the training failed.
    """
    cv2.setNumThreads(1)  # as the workers have it; else "one core" would be two
    report = Report("throughput", "Throughput")
    size = _Size(n_repeats, n_logos=4, n_processes=1, n_steps=64) if is_short else _Size(n_repeats)
    logos = list(load_logos(images, WORK_SIZE).logos)
    logos = logos[:: max(len(logos) // size.n_logos, 1)][: size.n_logos] if size.n_logos else logos
    pictures = [Picture(logo.pixels) for logo in logos]
    prepared = [PreparedLogo(o.name, o.category, o.digest, p.features, p.defaults) for o, p in zip(logos, pictures, strict=True)]
    report.add("logos", f"{len(logos)}", f"at {WORK_SIZE} px")
    _steps(report, pictures, prepared, size.n_repeats)
    _similarity(report, pictures, size.n_repeats)
    _preparation(report, logos)
    _pool(report, images, logos, size)
    measure_training(report, [*settings(images, is_short), f"total_timesteps={512 if is_short else TRAINED_STEPS}"])
    return report


def _steps(report: Report, pictures: list[Picture], prepared: list[PreparedLogo], n_repeats: int) -> None:
    env = TraceEnv(prepared, lambda i, params: pictures[i].measure(params).outcome, _SPEC)
    env.reset(seed=0)
    actions, rng = _SPEC.actions, np.random.default_rng(0)

    with tempfile.TemporaryDirectory() as folder:
        naive = NaiveStep(Path(folder))
        for mode, suffix in (("the best single setting", ""), ("random parameters", "_random")):
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
                    "VTracer alone": lambda canvas=picture.canvas(PIPELINE), params=params: _trace(canvas, params),  # type: ignore[misc]
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
    """A step as a script by hand makes it: files, and the score by scikit-image and SciPy. It fits no fills."""

    def __init__(self, folder: Path) -> None:
        try:
            import resvg_py
        except ImportError as error:
            raise BenchError(f"the naive step needs resvg_py: {how_to_install('bench')}") from error
        self._resvg = resvg_py
        self._in, self._out = folder / "in.png", folder / "out.svg"
        self._files: dict[tuple[int, Pipeline], tuple[bytes, float]] = {}

    def __call__(self, picture: Picture, params: Params) -> None:
        """On the picture that VTracer is given of it in our step, as a file."""
        pipeline = PLAIN if params.is_plain else PIPELINE
        if (id(picture), pipeline) not in self._files:
            canvas = picture.canvas(pipeline)
            self._files[id(picture), pipeline] = encode_png(canvas.pixels[..., :3]), canvas.scale
        png, scale = self._files[id(picture), pipeline]
        self._in.write_bytes(png)
        engine().trace_file(str(self._in), str(self._out), told(params, scale, optimize=pipeline.optimize))
        svg = self._out.read_text()
        height, width = picture.pixels.shape[:2]
        png = self._resvg.svg_to_bytes(svg_string=svg, width=width, height=height, background="white", skip_system_fonts=True)
        drawn = np.asarray(Image.open(io.BytesIO(bytes(png))).convert("RGB").resize((width, height)))  # resvg keeps the ratio, to a pixel
        scikit_ssim(picture.pixels, drawn)
        scikit_colour(picture.pixels, drawn)
        scipy_gmsd(picture.pixels, drawn)


def scikit_colour(a: Any, b: Any) -> float:
    """Mean CIELAB distance, as scikit-image has it."""
    from skimage.color import deltaE_cie76, rgb2lab

    return float(deltaE_cie76(rgb2lab(a), rgb2lab(b)).mean())  # type: ignore[no-untyped-call]


def scipy_gmsd(a: Any, b: Any) -> float:
    """Gradient magnitude similarity deviation by SciPy's filters, at half the size as its authors have it."""
    from scipy.ndimage import prewitt, uniform_filter
    from skimage.color import rgb2gray

    def gradient(pixels: Any) -> Any:
        grey = uniform_filter(rgb2gray(pixels) * 255, 2)[::2, ::2]
        return np.hypot(prewitt(grey, 0), prewitt(grey, 1)) / 3

    ours, theirs = gradient(a), gradient(b)
    return float(((2 * ours * theirs + 170) / (ours**2 + theirs**2 + 170)).std())


def scikit_ssim(a: Any, b: Any) -> float:
    from skimage.metrics import structural_similarity

    return float(structural_similarity(a, b, channel_axis=2, data_range=255))  # type: ignore[no-untyped-call]


def _trace(canvas: Canvas, params: Params) -> None:
    """VTracer's own call on a prepared picture."""
    engine().trace(canvas.pixels, told(params, canvas.scale, "spline", PIPELINE.optimize, canvas.is_soft))


def _similarity(report: Report, pictures: Sequence[Picture], n_repeats: int) -> None:
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
    """Once per picture and run: features and VTracer's defaults."""
    say("preparation")
    sample = logos[:: max(len(logos) // 40, 1)]
    started = time.perf_counter()
    for logo in sample:
        picture = Picture(logo.pixels)
        _ = picture.reference, picture.features, picture.by_defaults, picture.canvas(PIPELINE)
    report.add(
        "preparing a logo, once",
        f"{(time.perf_counter() - started) / len(sample) * 1000:.1f} ms",
        "features, VTracer's defaults, the enlarged picture with clean edges",
    )


def _pool(report: Report, images: str, logos: list[Logo], size: _Size) -> None:
    cores = available_cores()
    opened: dict[str, Any] = {}
    try:
        n_steps = _open_all(opened, images, logos, size)
        rate = _rates(opened, n_steps, size.n_repeats)
    finally:
        for vec_env in opened.values():
            vec_env.close()
    report.keys["pool_over_subproc"] = rate[_pool_name(cores)] / rate[_subproc_name(cores)]
    for name, value in rate.items():
        n_each = "64 environments" if name.startswith("pool") else "one environment each"
        report.add(name, f"{value:.0f} steps/s", f"random parameters; {n_each}")
    report.details["pool_steps_per_s"] = rate


def _open_all(opened: dict[str, Any], images: str, logos: list[Logo], size: _Size) -> dict[str, int]:
    """Fill ``opened`` with a vectorised environment per side, by name; returns the steps of each per repeat."""
    from stable_baselines3.common.vec_env import SubprocVecEnv

    cores, n_steps = available_cores(), {}
    for n in range(1, cores + 1):
        pool = WorkerPool(PictureStore.create(logos), n)
        preparations = Preparations(logos)
        preparations.prepare(pool, range(len(logos)))
        prepared = [preparations[i] for i in range(len(logos))]
        name = _pool_name(n)
        opened[name], n_steps[name] = PoolVecEnv(pool, preparations, _SPEC, 64, seed=n), max(size.n_steps // 64, 1)
    for n in dict.fromkeys((cores, size.n_processes)):
        name = _subproc_name(n)
        opened[name] = SubprocVecEnv([_EnvMaker(images, prepared, [o.digest for o in logos], k) for k in range(n)])
        n_steps[name] = max(size.n_steps // n, 1)
    return n_steps


def _rates(opened: dict[str, Any], n_steps: dict[str, int], n_repeats: int) -> dict[str, float]:
    """Median steps per second of each; they take turns."""
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
    return {name: statistics.median(values) for name, values in rates.items()}


def _pool_name(n: int) -> str:
    return f"pool, {n} worker{'s' if n > 1 else ''}"


def _subproc_name(n: int) -> str:
    return f"SubprocVecEnv, {n} processes"


class _EnvMaker:
    """Makes an environment in a process of SubprocVecEnv."""

    def __init__(self, images: str, prepared: list[PreparedLogo], digests: list[str], seed: int) -> None:
        self.images, self.prepared, self.digests, self.seed = images, prepared, digests, seed

    def __call__(self) -> TraceEnv:
        cv2.setNumThreads(1)
        wanted = {logo.digest: logo for logo in load_logos(self.images, WORK_SIZE).logos}
        pictures = [Picture(wanted[digest].pixels) for digest in self.digests]
        env = TraceEnv(self.prepared, lambda i, params: pictures[i].measure(params).outcome, _SPEC)
        env.reset(seed=self.seed)
        return env
