"""One VTracer call: PNG bytes and parameters in, SVG or a typed failure out.

Knows nothing of scores. Guarantee: no VTracer panic, blank or huge result reaches the caller as an exception; each
becomes a :class:`Trace` with ``failure`` set.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

import vtracer

from core.tracing.params import SPECS, Params

Failure = Literal["panic", "blank", "oversized"]
MAX_SVG_BYTES = 4_000_000
FILTER_SPECKLE = 4  # VTracer's default: areas below 4 x 4 pixels are dropped


@dataclass(frozen=True)
class Trace:
    """The result of one call. ``svg`` is empty where ``failure`` is "panic" or "oversized"."""

    svg: str
    n_bytes: int
    n_paths: int
    cpu_s: float
    failure: Failure | None = None
    reason: str = ""


Mode = Literal["spline", "polygon", "none"]
MODES: tuple[Mode, ...] = ("spline", "polygon", "none")


def as_python(params: Params, filter_speckle: int = FILTER_SPECKLE, mode: Mode = "spline") -> str:
    """A Python call that traces ``logo.png`` in the same way."""
    lines = "\n".join(f"    {name}={value!r}," for name, value in _arguments(params, filter_speckle, mode).items())
    return f'import vtracer\n\nvtracer.convert_image_to_svg_py(\n    "logo.png",\n    "logo.svg",\n{lines}\n)'


def as_command(params: Params, filter_speckle: int = FILTER_SPECKLE, mode: Mode = "spline") -> str:
    """The same for VTracer's own command line, which knows no max_iterations."""
    mode_name = "pixel" if mode == "none" else mode
    return (
        f"vtracer --input logo.png --output logo.svg --colormode color --hierarchical stacked --mode {mode_name} "
        f"--filter_speckle {filter_speckle} --color_precision {int(params.color_precision)} --gradient_step {int(params.layer_difference)} "
        f"--corner_threshold {int(params.corner_threshold)} --segment_length {params.length_threshold:g} "
        f"--splice_threshold {int(params.splice_threshold)} --path_precision {int(params.path_precision)}"
    )


def _arguments(params: Params, filter_speckle: int, mode: Mode) -> dict[str, Any]:
    return {
        "colormode": "color",
        "hierarchical": "stacked",
        "mode": mode,
        "filter_speckle": filter_speckle,
        **{spec.argument: (int if spec.is_integer else float)(getattr(params, spec.name)) for spec in SPECS},
    }


def trace(png: bytes, params: Params, filter_speckle: int = FILTER_SPECKLE, mode: Mode = "spline") -> Trace:
    """Convert an opaque PNG. ``cpu_s`` is this thread's CPU time, so that waiting for a core does not count.

    The binding checks nothing: what it panics on arrives as a BaseException that ``except Exception`` misses.
    """
    started = time.thread_time()
    try:
        svg = vtracer.convert_raw_image_to_svg(png, img_format="png", **_arguments(params, filter_speckle, mode))
    except (KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError):
        raise
    except BaseException as error:  # pyo3's PanicException derives from BaseException
        return Trace("", 0, 0, time.thread_time() - started, "panic", str(error).splitlines()[0][:200] if str(error) else "")
    cpu_s = time.thread_time() - started
    n_bytes = len(svg)
    n_paths = svg.count("<path ")
    if n_paths == 0:
        return Trace(svg, n_bytes, 0, cpu_s, "blank", "no path in the SVG")
    if n_bytes > MAX_SVG_BYTES:
        return Trace("", n_bytes, n_paths, cpu_s, "oversized", f"{n_bytes} bytes, limit {MAX_SVG_BYTES}")
    return Trace(svg, n_bytes, n_paths, cpu_s)
