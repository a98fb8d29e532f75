"""The process that decodes strangers' pictures (``python -m core.logos.decoder``), with limits of memory and time; see core/logos/intake.py.

Reads requests from stdin and writes answers to stdout, each with its length before it, as numbers, text and raw pixels: neither side runs
or unpickles what the other says. Ends with its parent.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import BinaryIO

from core.errors import PictureError, RasterError, SvgError
from core.logos.pictures import Found, decode
from core.tracing.raster import draw_ours
from core.tracing.sizes import fit

OURS = -2  # in the place of a background: an SVG of ours, which is drawn as it is
REQUEST = struct.Struct("<iiiQ")  # background, -1 for none, or OURS; side to draw an SVG at, longest side or 0, bytes that follow
ANSWER = struct.Struct(
    "<?QQQQQQ"
)  # is it a picture; height, width, channels; width and height of the file; bytes of text before the pixels
MEMORY_MB = 750  # that decoding one picture may take, beside the process itself
CPU_S = 4.0  # that decoding one picture may take
READY = b"ready"


def main() -> None:
    """Answer requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    _limit_process()
    answers.write(READY)
    answers.flush()
    while head := sys.stdin.buffer.read(REQUEST.size):
        background, svg_side, longest_side, n_bytes = REQUEST.unpack(head)
        data = sys.stdin.buffer.read(n_bytes)
        signal.setitimer(signal.ITIMER_PROF, CPU_S)  # the system ends this process then, whatever it is at
        _answer(answers, data, background, svg_side, longest_side)
        signal.setitimer(signal.ITIMER_PROF, 0)


def _answer(answers: BinaryIO, data: bytes, background: int, svg_side: int, longest_side: int) -> None:
    try:
        found = Found(draw_ours(data, svg_side)) if background == OURS else decode(data, None if background < 0 else background, svg_side)
        pixels = fit(found.pixels, longest_side) if longest_side else found.pixels
    except (PictureError, RasterError, SvgError) as error:
        _refuse(answers, str(error))
    except MemoryError:
        _refuse(answers, f"decoding it takes more than {MEMORY_MB} MB of memory, which is the limit")
    except Exception as error:  # whatever a library says of hostile bytes: here it costs this one file
        _refuse(answers, f"unreadable image: {str(error)[:120] or type(error).__name__}")
    else:
        _send(answers, Found(pixels, found.notes, found.size))


def _send(answers: BinaryIO, found: Found) -> None:
    text = "\n".join(found.notes).encode()
    height, width, channels = found.pixels.shape
    answers.write(ANSWER.pack(True, height, width, channels, *found.size, len(text)) + text)
    answers.write(found.pixels.data)
    answers.flush()


def _refuse(answers: BinaryIO, reason: str) -> None:
    text = reason.encode(errors="replace")
    answers.write(ANSWER.pack(False, 0, 0, 0, 0, 0, len(text)) + text)
    answers.flush()


def _limit_process() -> None:
    """No more memory than one picture needs, no file written, no core dump; where the system knows these limits."""
    used = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    limits = [(resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)]
    if used:
        limits.append((resource.RLIMIT_AS, used + MEMORY_MB * 2**20))
    for what, limit in limits:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(what, (limit, limit))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, at whose end stdin ends


if __name__ == "__main__":
    main()
