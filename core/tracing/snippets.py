"""What to type to make the same trace elsewhere: with Tracewright, and where VTracer alone makes it, a call in Python and its command line."""

from __future__ import annotations

from core.paths import program
from core.tracing.params import Params
from core.tracing.pipeline import PLAIN, Mode, Pipeline, settings


def as_tracewright(params: Params, pipeline: Pipeline, work_size: int, mode: Mode = "spline") -> str:
    """The same for ``python -m core logos trace``."""
    values = ",".join(f"{value:g}" for value in params.as_tuple())
    more = f" --mode {mode}" if mode != "spline" else ""
    size = 0 if params.is_plain else pipeline.trace_size
    return f"{program()} logos trace logo.png --params {values} --work-size {work_size} --trace-size {size} --out logo.svg{more}"


def as_python(params: Params, mode: Mode = "spline") -> str:
    """A Python call that traces ``logo.png`` in the same way as VTracer alone."""
    told = settings(params, 1.0, mode, PLAIN.optimize)
    lines = "\n".join(f"    {name}={value!r}," for name, value in told.items() if value is not None)
    return f'import vtracer\n\nconfig = vtracer.Config(\n{lines}\n)\nconfig.convert_file("logo.png", "logo.svg")'


def as_command(params: Params, mode: Mode = "spline") -> str:
    """The same for VTracer's own command line, which knows no max_iterations."""
    told = settings(params, 1.0, mode, PLAIN.optimize)
    return (
        f"vtracer --input logo.png --output logo.svg --colormode color --hierarchical {told['hierarchical']} --mode {told['mode']} "
        f"--filter_speckle {told['filter_speckle']} --color_precision {told['color_precision']} --gradient_step {told['layer_difference']} "
        f"--corner_threshold {told['corner_threshold']} --segment_length {told['length_threshold']:g} "
        f"--splice_threshold {told['splice_threshold']} --path_precision {told['path_precision']}"
    )
