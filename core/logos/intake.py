"""Strangers' pictures: files and uploads decoded so that a hostile one costs nothing but itself.

What is cheap whatever is in it (a PNG, JPEG, GIF or BMP of one frame and at most about four megapixels, by its header) is decoded in this
process: that is most of what people have, and costs 0.04 ms beside the 5 ms of decoding 512 x 512 pixels. All else (SVG, WebP, TIFF, icons, AVIF, animations, progressive
JPEGs, large pictures) goes to a process with limits of memory and time, core/logos/decoder.py: 0.27 s of CPU time to start, once for all files
of a call, and 0.1 ms per file. One that dies or takes too long is replaced, and its file refused.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from core.errors import DamagedFileError, PictureError
from core.files import read_small
from core.logos.decoder import ANSWER, CPU_S, MEMORY_MB, OURS, READY, REQUEST
from core.logos.pictures import MAX_FILE_BYTES, MAX_PIXELS, SVG_SIDE, Found, check_kind, decode, is_ordinary
from core.machine import available_cores
from core.paths import PROJECT
from core.tracing.sizes import fit

WALL_S = 30.0  # that an answer may take on a machine that is busy with other things, the process's start included
MAX_DECODERS = 4
_MAX_TEXT, _MAX_PIXEL_BYTES = 100_000, 4 * MAX_PIXELS


def read_picture(path: Path, background: int | None = 255, svg_side: int = SVG_SIDE) -> NDArray[np.uint8]:
    """Read one file to pixels; see :meth:`Decoders.decode`. For many, one :class:`Decoders` costs less."""
    with Decoders() as decoders:
        return decoders.read(path, background, svg_side).pixels


def decode_upload(data: bytes, background: int | None = 255, svg_side: int = SVG_SIDE) -> Found:
    """The same of bytes that somebody gave, with what was left out of them."""
    with Decoders() as decoders:
        return decoders.decode(data, background, svg_side)


class Decoders:
    """Decodes pictures; processes are started when the first file needs one, and end with the context. Any thread may call it."""

    def __init__(self) -> None:
        self._idle: list[_Decoder] = []
        self._lock = threading.Lock()
        self._places = threading.BoundedSemaphore(min(available_cores(), MAX_DECODERS))

    def __enter__(self) -> Decoders:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        while self._idle:
            self._idle.pop().end()

    def read(self, path: Path, background: int | None = None, svg_side: int = SVG_SIDE, longest_side: int = 0) -> Found:
        """As :meth:`decode`, of a file.

        Raises:
            PictureError: as there, or it can't be read.
        """
        try:
            data = read_small(path, MAX_FILE_BYTES)
        except DamagedFileError as error:
            raise PictureError(str(error).removeprefix(f"{path.name} ")) from error
        if data is None:
            raise PictureError("can't be read: No such file or directory")
        return self.decode(data, background, svg_side, longest_side)

    def decode(self, data: bytes, background: int | None = None, svg_side: int = SVG_SIDE, longest_side: int = 0) -> Found:
        """Decode a file's bytes: RGB with transparency flattened onto the grey level ``background``; or, where that is None, RGBA where
        anything is transparent. ``longest_side``: what it is shrunk to, in pixels; 0 leaves it as it is.

        Raises:
            PictureError: it has an unsupported format, or is empty, broken, too small, too large, of a single colour, or takes too much.
        """
        check_kind(data)
        if is_ordinary(data):
            try:
                found = decode(data, background, svg_side)
            except MemoryError as error:
                raise PictureError("decoding it takes more memory than is free") from error
            return Found(fit(found.pixels, longest_side), found.notes, found.size) if longest_side else found
        return self._limited(data, -1 if background is None else background, svg_side, longest_side)

    def draw(self, svg: bytes, side: int) -> NDArray[np.uint8]:
        """An SVG of ours drawn as :func:`core.tracing.raster.draw_ours` does it, within the limits.

        Raises:
            PictureError: it holds more than a tracer draws, can't be drawn, or takes too much.
        """
        return self._limited(svg, OURS, side, 0).pixels

    def _limited(self, data: bytes, background: int, svg_side: int, longest_side: int) -> Found:
        with self._places:
            with self._lock:
                decoder = self._idle.pop() if self._idle else None
            decoder = decoder or _Decoder()
            try:
                found = decoder.decode(data, background, svg_side, longest_side)
            except PictureError:
                self._give_back(decoder)
                raise
            except BaseException:
                decoder.end()
                raise
            self._give_back(decoder)
            return found

    def _give_back(self, decoder: _Decoder) -> None:
        if decoder.is_alive:
            with self._lock:
                self._idle.append(decoder)
        else:
            decoder.end()


class _Decoder:
    """One process, and what is said to it."""

    def __init__(self) -> None:
        few = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        command = [sys.executable, "-m", "core.logos.decoder"]
        self._process = subprocess.Popen(
            command, cwd=PROJECT, env=os.environ | few, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self.is_alive = True
        self._is_ready = False

    def decode(self, data: bytes, background: int, svg_side: int, longest_side: int) -> Found:
        until = time.monotonic() + WALL_S
        try:
            if not self._is_ready and self._read(len(READY), until) != READY:
                raise EOFError
            self._is_ready = True
            assert self._process.stdin is not None
            head = REQUEST.pack(background, svg_side, longest_side, len(data))
            self._process.stdin.write(head + data)
            self._process.stdin.flush()
            is_picture, height, width, channels, file_width, file_height, n_text = ANSWER.unpack(self._read(ANSWER.size, until))
            if n_text > _MAX_TEXT or height * width * channels > _MAX_PIXEL_BYTES:
                raise EOFError
            text = self._read(n_text, until).decode(errors="replace")
            if not is_picture:
                raise PictureError(text)
            raw = self._read(height * width * channels, until)
        except (EOFError, OSError, TimeoutError) as error:
            raise PictureError(self._why_lost(error)) from error
        pixels = np.frombuffer(raw, np.uint8).reshape(height, width, channels)
        return Found(pixels, tuple(text.splitlines()), (file_width, file_height))

    def _read(self, n_bytes: int, until: float) -> bytearray:
        assert self._process.stdout is not None
        found, place = bytearray(n_bytes), 0
        descriptor = self._process.stdout.fileno()
        with selectors.DefaultSelector() as selector, memoryview(found) as view:
            selector.register(descriptor, selectors.EVENT_READ)
            while place < n_bytes:
                if not selector.select(max(until - time.monotonic(), 0)):
                    raise TimeoutError
                n = os.readv(descriptor, [view[place:]])
                if n == 0:
                    raise EOFError
                place += n
        return found

    def _why_lost(self, error: Exception) -> str:
        """Why there was no answer; the process is gone afterwards."""
        self.end(kill=isinstance(error, TimeoutError))
        if isinstance(error, TimeoutError) or self._process.returncode == -signal.SIGPROF:
            return f"decoding it takes longer than {CPU_S:g} seconds, which is the limit"
        return f"decoding it broke the decoder, or took more than {MEMORY_MB} MB of memory, which is the limit"

    def end(self, kill: bool = False) -> None:
        """End it, if need be by force."""
        self.is_alive = False
        if kill:
            self._process.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
