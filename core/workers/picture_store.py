"""The pictures of a run in one unlinked file that every worker maps, so they are prepared and held in memory only once.

Guarantee: nothing is left on disk, however a process ends, because the file has no name.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.logos.dataset import Logo
from core.tracing.picture import Picture
from core.tracing.pipeline import PackedCanvas, Pipeline

MAX_OPEN = 96  # pictures kept with what they are compared by: about 1.8 MB each at 256 px
MAX_CANVAS_BYTES = 256 * 2**20  # of enlarged pictures, packed: about 30 kB each at a trace size of 512


@dataclass(frozen=True)
class Slot:
    """A picture's offset in the file in bytes, its height and width in pixels, its channels (3 or 4), and the digest of its pixels."""

    digest: str
    pixels_at: int
    height: int
    width: int
    channels: int


@dataclass(frozen=True)
class StoreHandle:
    """What a process needs to open the store. It can be passed to a child only while that is being spawned."""

    file: int
    size: int
    slots: tuple[Slot, ...]
    pipeline: Pipeline

    def __getstate__(self) -> dict[str, Any]:
        return {"file": DupFd(self.file), "size": self.size, "slots": self.slots, "pipeline": self.pipeline}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for key, value in state.items():
            object.__setattr__(self, key, value.detach() if key == "file" else value)


class PictureStore:
    """Pictures by index, to be converted by one pipeline."""

    def __init__(self, handle: StoreHandle) -> None:
        self.handle = handle
        self._map = mmap.mmap(handle.file, handle.size, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        self._bytes = np.frombuffer(self._map, dtype=np.uint8)
        self._open: OrderedDict[int, Picture] = OrderedDict()
        self._canvases: OrderedDict[int, dict[Pipeline, PackedCanvas]] = OrderedDict()

    @property
    def pipeline(self) -> Pipeline:
        return self.handle.pipeline

    @classmethod
    def create(cls, logos: Sequence[Logo], pipeline: Pipeline = Pipeline()) -> PictureStore:
        """Write the logos' pixels to a new unnamed file."""
        slots, at = [], 0
        with tempfile.TemporaryFile() as file:
            for logo in logos:
                slots.append(Slot(logo.digest, at, *logo.pixels.shape))
                file.write(logo.pixels.tobytes())
                at += logo.pixels.nbytes
            file.flush()
            return cls(StoreHandle(os.dup(file.fileno()), at, tuple(slots), pipeline))

    def __len__(self) -> int:
        return len(self.handle.slots)

    def digest(self, index: int) -> str:
        return self.handle.slots[index].digest

    def pixels(self, index: int) -> NDArray[np.uint8]:
        slot = self.handle.slots[index]
        n = slot.height * slot.width * slot.channels
        pixels = self._bytes[slot.pixels_at : slot.pixels_at + n].reshape(slot.height, slot.width, slot.channels)
        pixels.flags.writeable = False
        return pixels

    def picture(self, index: int) -> Picture:
        """The picture, kept open while it is among the most recently used."""
        if index in self._open:
            self._open.move_to_end(index)
        else:
            self._open[index] = Picture(self.pixels(index), self.pipeline, self._canvases_of(index))
            if len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
        return self._open[index]

    def _canvases_of(self, index: int) -> dict[Pipeline, PackedCanvas]:
        """What is kept of a picture beyond its time among the open ones, as it costs most to make."""
        used = sum(len(canvas.packed) for canvases in self._canvases.values() for canvas in canvases.values())
        while used > MAX_CANVAS_BYTES:
            _, dropped = self._canvases.popitem(last=False)
            used -= sum(len(canvas.packed) for canvas in dropped.values())
        self._canvases.setdefault(index, {})
        self._canvases.move_to_end(index)
        return self._canvases[index]

    def close(self) -> None:
        self._open.clear()
        os.close(self.handle.file)
