"""The worker process: receives conversions as bytes, performs them one after the other and sends back the results.

A worker has no state except open pictures, so it can be replaced at any time. Its whole interface is a connection that
carries :func:`pack_job` one way and :func:`pack_result` the other; a worker on another machine would need nothing more.
Imports neither torch nor Gymnasium, so that it starts in half a second.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
import sys
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from core.tracing.features import N_FEATURES, Features
from core.tracing.minify import minified
from core.tracing.outcome import PACKED_BYTES, Outcome
from core.tracing.params import DEFAULTS, N_PARAMS, Params
from core.tracing.pipeline import PLAIN, Pipeline
from core.workers.picture_store import PictureStore, StoreHandle

READY = b"ready"
_JOB = struct.Struct(f"<i????i{N_PARAMS}d")
_FLAG = struct.Struct("<?")
_FEATURES = struct.Struct(f"<{N_FEATURES}d")


@dataclass(frozen=True)
class Job:
    """One conversion of the store's picture ``index``.

    ``trace_size``: another one than that of the store's pipeline, in pixels; 0 takes that. ``minify``: the SVG is to be taken away: it is
    minified, its figures are of before.
    """

    index: int
    params: Params = DEFAULTS
    keep_svg: bool = False
    with_features: bool = False
    trace_size: int = 0
    minify: bool = False

    def pipeline(self, of_store: Pipeline) -> Pipeline:
        """What stands around VTracer in this conversion."""
        if self.params.is_plain:
            return PLAIN
        return replace(of_store, trace_size=self.trace_size) if self.trace_size else of_store


@dataclass(frozen=True)
class JobResult:
    """``svg``: empty unless requested; ``reason``: how the worker was lost, if it was."""

    outcome: Outcome
    svg: str = ""
    features: Features | None = None
    reason: str = ""


def pack_job(job: Job) -> bytes:
    return _JOB.pack(job.index, job.keep_svg, job.with_features, job.params.is_plain, job.minify, job.trace_size, *job.params.as_tuple())


def unpack_job(data: bytes) -> Job:
    index, keep_svg, with_features, is_plain, minify, trace_size, *values = _JOB.unpack(data)
    return Job(index, replace(Params.from_values(values), is_plain=is_plain), keep_svg, with_features, trace_size, minify)


def pack_result(result: JobResult) -> bytes:
    features = result.features
    head = result.outcome.pack() + _FLAG.pack(features is not None)
    return head + (_FEATURES.pack(*features.as_values()) if features is not None else b"") + result.svg.encode()


def unpack_result(data: bytes) -> JobResult:
    (has_features,) = _FLAG.unpack_from(data, PACKED_BYTES)
    at = PACKED_BYTES + _FLAG.size
    features = Features.from_values(_FEATURES.unpack_from(data, at)) if has_features else None
    at += _FEATURES.size if has_features else 0
    return JobResult(Outcome.unpack(data), data[at:].decode(), features)


def perform(store: PictureStore, job: Job) -> JobResult:
    """Perform a job in this process."""
    picture = store.picture(job.index)
    measured = picture.by_defaults if job.params == DEFAULTS else picture.measure(job.params, job.pipeline(store.pipeline))
    svg = measured.trace.svg if job.keep_svg else ""
    if job.minify:
        svg = minified(svg, picture.source.shape[1], picture.source.shape[0])
    return JobResult(measured.outcome, svg, picture.features if job.with_features else None)


def worker_main(pipe: Connection, handle: StoreHandle, parent_pid: int) -> None:
    """Serve until the other end of the pipe is closed."""
    _die_with_parent()
    if os.getppid() != parent_pid:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the parent acts on signals to the whole process group
    import cv2

    cv2.setNumThreads(1)
    store = PictureStore(handle)
    try:
        pipe.send_bytes(READY)
        while True:
            pipe.send_bytes(pack_result(perform(store, unpack_job(pipe.recv_bytes()))))
    except (EOFError, OSError):
        return


def _die_with_parent() -> None:
    """Have Linux send SIGKILL when the parent ends; elsewhere the closed pipe ends the worker."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
