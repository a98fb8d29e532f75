"""Frames -> a file: MP4 and WebM (VP9, by the FFmpeg that comes with OpenCV's wheel: LGPL, its encoder libvpx BSD), animated WebP and GIF
(Pillow). Nothing else is needed, and nothing here is under the GPL.

Guarantee: a file is there whole or not at all; a video is opened again and its frames counted before it takes its name.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.errors import FilmError

Pixels = NDArray[np.uint8]
Progress = Callable[[str, int, int], None]
VIDEOS = {".mp4": "vp09", ".webm": "VP90"}
PICTURES = {".webp": "WEBP", ".gif": "GIF"}
FORMATS = (*VIDEOS, *PICTURES)
MAX_PICTURE_PIXELS = 120_000_000  # of all key frames of a WebP or GIF, which are in memory together
FPS = 8  # an encoder of VP9 takes as long for a frame in which nothing moves
FADE_S = 1 / 3  # from one evaluation to the next
LAST_S = 1.5  # that the last one stays longer
_TOO_GREEN = (0, 2, 0, 0)  # in BGR: FFmpeg's way to YUV rounds both chroma planes down, which would leave every grey greenish


@dataclass(frozen=True)
class Made:
    """A file that was written. ``n_frames``: key frames in WebP and GIF, all frames in a video."""

    n_bytes: int
    n_frames: int
    seconds: float


def write_film(path: Path, keys: Iterator[Pixels], n_keys: int, seconds: float, progress: Progress) -> Made:
    """Write key frames (RGB, even sides, all alike), each to be seen for ``seconds``, as what the file's ending says.

    Raises:
        FilmError: no encoder for it here, or more than it may hold; OSError: the disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.stem[:60]}.{os.getpid()}.{secrets.token_hex(4)}{path.suffix.lower()}")
    try:
        aside.touch(exist_ok=False)  # OpenCV would not say why it can't
        if aside.suffix in VIDEOS:
            n_frames, lasts_s = _video(aside, keys, n_keys, seconds, progress)
        else:
            n_frames, lasts_s = _pictures(aside, keys, n_keys, seconds, progress)
        n_bytes = aside.stat().st_size
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
    return Made(n_bytes, n_frames, lasts_s)


def _video(path: Path, keys: Iterator[Pixels], n_keys: int, seconds: float, progress: Progress) -> tuple[int, float]:
    each = max(round(seconds * FPS), 1)
    n_all = each * n_keys + round(LAST_S * FPS)
    first = next(keys)
    n_done = 0
    with _writer(path, first.shape[1], first.shape[0]) as writer:

        def write(frame: Pixels) -> None:
            nonlocal n_done
            writer.write(cv2.subtract(frame, _TOO_GREEN))  # type: ignore[call-overload]
            n_done += 1
            progress("frames", n_done, n_all)

        for frame in _frames(first, keys, each):
            write(frame)
        while n_done < n_all:
            write(frame)
    _check(path, n_all)
    return n_all, n_all / FPS


def _frames(first: Pixels, keys: Iterator[Pixels], each: int) -> Iterator[Pixels]:
    """Every frame in BGR: a key frame fades into the next."""
    n_fade = min(round(FADE_S * FPS), each - 1)
    before = _bgr(first)
    yield from (before for _ in range(each))
    for key in keys:
        now = _bgr(key)
        yield from (_mixed(before, now, (k + 1) / (n_fade + 1)) if k < n_fade else now for k in range(each))
        before = now


def _bgr(frame: Pixels) -> Pixels:
    return cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)  # type: ignore[return-value]


def _mixed(before: Pixels, now: Pixels, share: float) -> Pixels:
    return cv2.addWeighted(before, 1 - share, now, share, 0)  # type: ignore[return-value]


@contextmanager
def _writer(path: Path, width: int, height: int) -> Iterator[cv2.VideoWriter]:
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*VIDEOS[path.suffix]), FPS, (width, height))  # type: ignore[attr-defined]
    try:
        if not writer.isOpened():
            raise FilmError(
                f"this machine's OpenCV ({cv2.__version__}) can't encode VP9, which {path.suffix} needs; give a file that ends in .webp or .gif"
            )
        yield writer
    finally:
        writer.release()


def _check(path: Path, n_frames: int) -> None:
    """OpenCV says nothing when a write fails, so the file is looked at."""
    reader = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    found = int(reader.get(cv2.CAP_PROP_FRAME_COUNT)) if reader.isOpened() else 0
    reader.release()
    if abs(found - n_frames) > 1:  # WebM says how long it is, not how many frames it has
        raise FilmError(f"the video contains only {found} of {n_frames} frames; is the disk full?")


def _pictures(path: Path, keys: Iterator[Pixels], n_keys: int, seconds: float, progress: Progress) -> tuple[int, float]:
    frames: list[Image.Image] = []
    for key in keys:
        if n_keys * key.shape[0] * key.shape[1] > MAX_PICTURE_PIXELS:
            most = MAX_PICTURE_PIXELS // (key.shape[0] * key.shape[1])
            raise FilmError(
                f"{n_keys} evaluations are too many for {path.suffix}, at most {most} of this size; give a file that ends in .mp4"
            )
        frame = Image.fromarray(key)
        frames.append(frame if path.suffix == ".webp" else frame.quantize(256, dither=Image.Dither.NONE))
        progress("evaluations", len(frames), n_keys)
    lasts = [round(1000 * seconds)] * (n_keys - 1) + [round(1000 * (seconds + LAST_S))]
    more = {"quality": 88, "method": 4} if path.suffix == ".webp" else {"optimize": False}
    progress(f"writing {path.suffix}", 0, 0)
    frames[0].save(path, PICTURES[path.suffix], save_all=True, append_images=frames[1:], duration=lasts, loop=0, **more)
    return n_keys, sum(lasts) / 1000
