"""Real logos with their ground taken away: what was clear stays clear, and what was not does not become it."""

import numpy as np

from core.errors import RasterError
from core.tracing.params import BEST_SINGLE
from core.tracing.picture import Picture
from core.tracing.pipeline import Pipeline
from core.tracing.raster import rasterizer
from core.tracing.sizes import fit


def test_real_logos_on_nothing_keep_their_alpha(real_logos):
    errors = {}
    for path in sorted((real_logos / "svg").rglob("*.svg"))[::8]:
        try:
            pixels = fit(rasterizer().draw_rgba(path.read_bytes(), 512, 512), 256)
        except RasterError:
            continue
        if (pixels[..., 3] < 128).mean() < 0.02:
            continue  # it has a ground of its own
        made = Picture(pixels, Pipeline(trace_size=1024)).measure(BEST_SINGLE)
        assert made.outcome.failure is None, path.stem
        shown = rasterizer().draw_rgba(made.trace.svg.encode(), pixels.shape[1], pixels.shape[0])
        errors[path.stem] = float(np.abs(shown[..., 3].astype(int) - pixels[..., 3]).mean() / 255)
    assert len(errors) > 20
    assert np.mean(list(errors.values())) < 0.01
    assert np.median(list(errors.values())) < 0.006, errors
