"""The pictures of a run in one unlinked file, mapped by every worker: prepared once, in memory once.

Guarantee: nothing is left behind on the disk, however a process ends, because the file has no name.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.logos.dataset import Logo
from core.tracing.picture import Picture, encode_png

MAX_OPEN = 128  # pictures kept with their SSIM sums: about 1.4 MB each at 256 px


@dataclass(frozen=True)
class Slot:
    """Where a picture lies in the file, in bytes, its height and width in pixels, and the digest of its pixels."""

    digest: str
    pixels_at: int
    height: int
    width: int
    png_at: int
    png_size: int


@dataclass(frozen=True)
class StoreHandle:
    """What a process needs to open the store. Can be handed to a child while that is being spawned, only then."""

    file: int
    size: int
    slots: tuple[Slot, ...]

    def __getstate__(self) -> dict[str, Any]:
        return {"file": DupFd(self.file), "size": self.size, "slots": self.slots}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for key, value in state.items():
            object.__setattr__(self, key, value.detach() if key == "file" else value)


class PictureStore:
    """Pictures by index."""

    def __init__(self, handle: StoreHandle) -> None:
        self.handle = handle
        self._map = mmap.mmap(handle.file, handle.size, prot=mmap.PROT_READ)
        self._bytes = np.frombuffer(self._map, dtype=np.uint8)
        self._open: OrderedDict[int, Picture] = OrderedDict()

    @classmethod
    def create(cls, logos: Sequence[Logo]) -> PictureStore:
        """Write the logos' pixels and PNGs to a new nameless file."""
        slots, at = [], 0
        with tempfile.TemporaryFile() as file:
            with ThreadPoolExecutor() as pool:
                pngs = list(pool.map(lambda logo: encode_png(logo.pixels), logos))
            for logo, png in zip(logos, pngs, strict=True):
                file.write(logo.pixels.tobytes())
                file.write(png)
                height, width = logo.pixels.shape[:2]
                slots.append(Slot(logo.digest, at, height, width, at + logo.pixels.nbytes, len(png)))
                at += logo.pixels.nbytes + len(png)
            file.flush()
            return cls(StoreHandle(os.dup(file.fileno()), at, tuple(slots)))

    def __len__(self) -> int:
        return len(self.handle.slots)

    def digest(self, index: int) -> str:
        return self.handle.slots[index].digest

    def pixels(self, index: int) -> NDArray[np.uint8]:
        slot = self.handle.slots[index]
        n = slot.height * slot.width * 3
        return self._bytes[slot.pixels_at : slot.pixels_at + n].reshape(slot.height, slot.width, 3)

    def png(self, index: int) -> bytes:
        slot = self.handle.slots[index]
        return self._bytes[slot.png_at : slot.png_at + slot.png_size].tobytes()

    def picture(self, index: int) -> Picture:
        """The picture, kept open while it is among the last used."""
        if index in self._open:
            self._open.move_to_end(index)
        else:
            self._open[index] = Picture(self.pixels(index), self.png(index))
            if len(self._open) > MAX_OPEN:
                self._open.popitem(last=False)
        return self._open[index]

    def close(self) -> None:
        self._open.clear()
        os.close(self.handle.file)
