"""What to type so that VTracer alone makes the same trace: a call in Python, and its own command line."""

from __future__ import annotations

from core.tracing.params import Params
from core.tracing.pipeline import PLAIN, Mode, settings


def as_python(params: Params, mode: Mode = "spline") -> str:
    """A Python call that traces ``logo.png`` in the same way."""
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
