"""Pictures in, SVGs out, by the policy in this file's folder: one conversion each, the whole pipeline, and nothing to install but four packages.

This is the source of ``runner.py`` in the folder of an exported model, which holds every module that it needs (core/packaging/bundle.py).
Guarantee: the same parameters and the same SVG, to the byte, as Tracewright makes of the same pixels with the same versions of the packages.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.agents.onnx_session import OnnxPolicy
from core.environment.episode import EnvSpec, Episode, PreparedLogo
from core.errors import PictureError, TracewrightError
from core.tracing.features import FEATURE_NAMES
from core.tracing.finish import sized
from core.tracing.outcome import HEADLINE, Weights, gain
from core.tracing.params import NAMES, Params
from core.tracing.picture import Measured, Picture
from core.tracing.pipeline import Pipeline
from core.tracing.raster import rasterizer
from core.tracing.sizes import MIN_SIDE, fit

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
MAX_FILE_BYTES = 64_000_000
MAX_SIDE = 4096  # pixels, of a trace and of what is judged


class ModelError(TracewrightError, ValueError):
    """Raised when the folder's model is missing, damaged, or made for another runner."""


@dataclass(frozen=True)
class Chosen:
    """What the policy makes of a picture. ``action``: shape (10,), each in [-1, 1]; ``made_by``: policy, or defaults where its conversion failed."""

    action: NDArray[np.float32]
    params: Params
    made: Measured
    made_by: str
    gain: float


class Agent:
    """The policy of a folder with what it was trained under."""

    def __init__(self, folder: Path) -> None:
        """Raises :class:`ModelError`."""
        try:
            told = json.loads((folder / "preprocess.json").read_text(encoding="utf-8"))
            policy = (folder / "policy.onnx").read_bytes()
            if hashlib.sha256(policy).hexdigest() != told["checksums"]["policy.onnx"]:
                raise ModelError(f"{folder / 'policy.onnx'} is damaged (its checksum differs); export the model again")
            if told["features"] != list(FEATURE_NAMES) or [each["name"] for each in told["parameters"]] != list(NAMES):
                raise ModelError(f"{folder} is a model for other features or parameters than this runner's; export it again")
            how = told["runner"]
            centre = Params(**told["centre"]).clamped() if told["centre"] else None
            self.spec = EnvSpec(int(how["max_steps"]), centre, Weights(**how["weights"]), tuple(how["fixed"]))
            self.pipeline = Pipeline(**how["pipeline"])
            self.work_size = int(how["work_size"])
        except OSError as error:
            raise ModelError(f"{folder} holds no model ({error.strerror}: {Path(error.filename or '').name})") from error
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
            raise ModelError(f"{folder / 'preprocess.json'} is damaged: {type(error).__name__}: {error}; export the model again") from error
        except ValueError as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"{folder / 'preprocess.json'} is damaged: {error}; export the model again") from error
        self._policy = OnnxPolicy(policy)

    def convert(self, pixels: NDArray[np.uint8], trace_size: int | None = None) -> Chosen:
        """One conversion. ``pixels``: RGB or RGBA at work size; ``trace_size``: longest side that VTracer sees, that of training unless given."""
        pipeline = self.pipeline if trace_size is None else replace(self.pipeline, trace_size=trace_size)
        picture = Picture(pixels, pipeline)
        episode = Episode(PreparedLogo("", "", "", picture.features, picture.defaults), self.spec)
        action = self._policy.actions(episode.observation()[None])[0]
        params = episode.params_of(action)
        made, made_by = picture.measure(params), "policy"
        if made.outcome.failure is not None:
            made, made_by = picture.by_defaults, "defaults"
        return Chosen(action, params, made, made_by, gain(made.outcome, picture.defaults, HEADLINE).total)


def read_picture(path: Path) -> NDArray[np.uint8]:
    """RGB, or RGBA where anything is transparent; turned as the file says. Colour profiles are passed over.

    Raises:
        PictureError: it can't be read, is too small, or of one colour.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PictureError(f"{path.stat().st_size} bytes; the limit is {MAX_FILE_BYTES}")
        data = np.frombuffer(path.read_bytes(), np.uint8)
        found = cv2.imdecode(data, cv2.IMREAD_UNCHANGED) if len(data) else None
        if found is not None and found.dtype == np.uint8 and (found.ndim == 2 or found.shape[2] != 4):
            found = cv2.imdecode(data, cv2.IMREAD_COLOR)  # which turns it too
    except (OSError, cv2.error) as error:
        raise PictureError(f"can't be read: {getattr(error, 'strerror', None) or 'unreadable image'}") from error
    if found is None:
        raise PictureError(f"unreadable image; supported formats: {', '.join(SUFFIXES)}")
    pixels = _rgb(np.asarray(found))
    if min(pixels.shape[:2]) < MIN_SIDE:
        raise PictureError(f"{pixels.shape[1]} x {pixels.shape[0]} pixels; each side needs at least {MIN_SIDE}")
    if not (pixels != pixels[0, 0]).any() or (pixels.shape[2] == 4 and not pixels[..., 3].any()):
        raise PictureError("it has only one colour, so there is nothing to trace")
    return pixels


def _rgb(found: NDArray[Any]) -> NDArray[np.uint8]:
    if found.dtype == np.uint16:
        found = found >> 8
    elif found.dtype != np.uint8:
        raise PictureError(f"its pixels are {found.dtype}; only 8 and 16 bits are supported")
    found = found.astype(np.uint8)
    if found.ndim == 2:
        return np.repeat(found[..., None], 3, axis=2)
    if found.shape[2] == 4 and not (found[..., 3] == 255).all():
        return np.ascontiguousarray(found[..., [2, 1, 0, 3]])
    return np.ascontiguousarray(found[..., 2::-1])


def files_of(given: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Each picture in files and folders, with the path of its SVG below the folder of results; of two of one name the second keeps its ending."""
    found: list[tuple[Path, Path]] = []
    taken: set[Path] = set()
    for path in given:
        inside = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES) if path.is_dir() else [path]
        for file in inside:
            name = file.relative_to(path) if path.is_dir() else Path(file.name)
            to, n = name.with_suffix(".svg"), 1
            while to in taken:
                to, n = name.with_name(f"{name.name}{f'-{n}' if n > 1 else ''}.svg"), n + 1
            taken.add(to)
            found.append((file, to))
    return found


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Convert each picture to an SVG once, with parameters chosen by the policy.")
    parser.add_argument("pictures", nargs="+", type=Path, help="pictures or folders of pictures")
    parser.add_argument("--out", type=Path, required=True, help="output folder")
    parser.add_argument("--trace-size", type=int, help="longest side that VTracer works at, in pixels; default as in training")
    parser.add_argument("--work-size", type=int, help="longest side to which pictures are reduced first; default as in training")
    parser.add_argument("--model", type=Path, default=Path(__file__).resolve().parent, help="model folder; default is this one")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    given = parser.parse_args(arguments)
    for name, least in (("trace_size", 0), ("work_size", 32)):
        value = getattr(given, name)
        if value is not None and not least <= value <= MAX_SIDE:
            parser.error(f"--{name.replace('_', '-')} {value} is not in [{least}, {MAX_SIDE}] pixels")
    return given


def _one(agent: Agent, file: Path, to: Path, given: argparse.Namespace) -> dict[str, Any]:
    own = read_picture(file)
    pixels = fit(own, given.work_size or agent.work_size)
    chosen = agent.convert(pixels, given.trace_size)
    if not chosen.made.trace.svg:
        raise PictureError(f"could not be converted ({chosen.made.outcome.failure})")
    to.parent.mkdir(parents=True, exist_ok=True)
    to.write_bytes(sized(chosen.made.trace.svg, own.shape[1], own.shape[0]).encode())
    return {
        "file": str(file),
        "svg": str(to),
        "made_by": chosen.made_by,
        "gain": chosen.gain,
        "bytes": chosen.made.outcome.n_bytes,
        "params": chosen.params.as_dict(),
        "action": [float(value) for value in chosen.action],
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0: done; 1: a picture failed; 2: bad usage, or no model."""
    given = _options(arguments)
    cv2.setNumThreads(1)
    done: list[dict[str, Any]] = []
    skipped: list[dict[str, str]] = []
    try:
        rasterizer()  # without which nothing can be done
        agent, files = Agent(given.model), files_of(given.pictures)
    except (TracewrightError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not files:
        print(f"error: no picture in {', '.join(map(str, given.pictures[:3]))}; supported formats: {', '.join(SUFFIXES)}", file=sys.stderr)
        return 2
    for number, (file, to) in enumerate(files, 1):
        try:
            row = _one(agent, file, given.out / to, given)
        except (TracewrightError, OSError, MemoryError) as error:
            skipped.append({"file": str(file), "reason": str(error) or type(error).__name__})
            print(f"skipped {file}: {skipped[-1]['reason']}", file=sys.stderr)
            continue
        done.append(row)
        remark = "" if row["made_by"] == "policy" else "  by VTracer's defaults: the policy's conversion failed"
        print(f"{number}/{len(files)}  {row['svg']}  {row['bytes']} bytes  gain {row['gain']:+.3f}{remark}", file=sys.stderr)
    if given.json:
        print(json.dumps({"results": done, "skipped": skipped}), flush=True)
    return 1 if skipped else 0
