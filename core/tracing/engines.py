"""VTracer behind one small interface: version 1.0, an alpha that its author calls the next major one, and 0.6.15.

Nothing else imports vtracer. 0.6.15 may be installed beside 1.0, in a folder of its own (``make vtracer-0.6``).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import EngineError

OLD_FOLDER = "vtracer-0.6"  # beside the environment's own packages
ENGINES = ("1.0", "0.6")


class Engine(Protocol):
    """One version of VTracer."""

    name: str

    def trace(self, pixels: NDArray[np.uint8], settings: Mapping[str, Any]) -> str:
        """An SVG of RGBA pixels, uint8, shape (height, width, 4). ``settings``: VTracer's own names and units.

        Anything may be raised, also what ``except Exception`` misses: a panic of the Rust code arrives as a BaseException.
        """
        ...

    def trace_file(self, picture: str, svg: str, settings: Mapping[str, Any]) -> None:
        """The same from a picture file to an SVG file, as a script would do it."""
        ...


class Vtracer1:
    """1.0: pixels go in as they are; simplifies curves and optimises paths by itself."""

    name = "1.0"

    def __init__(self) -> None:
        self._module = importlib.import_module("vtracer")

    def trace(self, pixels: NDArray[np.uint8], settings: Mapping[str, Any]) -> str:
        height, width = pixels.shape[:2]
        config = self._module.Config(**settings)
        text: str = config.convert_pixels(pixels.tobytes(), width, height)
        return text

    def trace_file(self, picture: str, svg: str, settings: Mapping[str, Any]) -> None:
        self._module.Config(**settings).convert_file(picture, svg)


class Vtracer06:
    """0.6.15: takes a file's bytes; knows nothing of ``simplify`` and ``optimize``."""

    name = "0.6"

    def __init__(self, module: ModuleType) -> None:
        self._module = module

    def trace(self, pixels: NDArray[np.uint8], settings: Mapping[str, Any]) -> str:
        # Level 3: bytes cross item by item, so that smaller is faster
        ok, png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGBA2BGRA), [cv2.IMWRITE_PNG_COMPRESSION, 3])
        if not ok:
            raise ValueError(f"a picture of shape {pixels.shape} can't be encoded as PNG")
        text: str = self._module.convert_raw_image_to_svg(bytes(png), img_format="png", **self._known(settings))
        return text

    def trace_file(self, picture: str, svg: str, settings: Mapping[str, Any]) -> None:
        self._module.convert_image_to_svg_py(picture, svg, **self._known(settings))

    @staticmethod
    def _known(settings: Mapping[str, Any]) -> dict[str, Any]:
        known = {key: value for key, value in settings.items() if key not in ("simplify", "optimize")}
        mode = known.get("mode", "spline")
        return known | {"colormode": "color", "mode": "none" if mode == "pixel" else mode}


@cache
def engine(name: str = ENGINES[0]) -> Engine:
    """The engine of that name, loaded once per process.

    Raises:
        EngineError: it is unknown, or not installed.
    """
    if name not in ENGINES:
        raise EngineError(f"VTracer {name!r} is not one of {', '.join(ENGINES)}")
    installed = metadata.version("vtracer")
    if installed.startswith("1.") == (name == "1.0"):
        return Vtracer1() if name == "1.0" else Vtracer06(importlib.import_module("vtracer"))
    if name == "0.6":
        found = sorted((Path(sys.prefix) / OLD_FOLDER / "vtracer").glob("vtracer*.so")) + sorted(
            (Path(sys.prefix) / OLD_FOLDER / "vtracer").glob("vtracer*.pyd")
        )
        if found:
            return Vtracer06(_load(found[0]))
        raise EngineError("VTracer 0.6 is not installed alongside 1.0; run make vtracer-0.6, or use engine 1.0")
    raise EngineError(f"VTracer {installed} is installed, but 1.0 is required; run make setup")


def _load(library: Path) -> ModuleType:
    """A second build of the same extension module, under a name of its own."""
    spec = importlib.util.spec_from_file_location("vtracer_06.vtracer", library)
    if spec is None or spec.loader is None:
        raise EngineError(f"{library} can't be loaded; run make vtracer-0.6 again")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
