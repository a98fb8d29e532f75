"""Every error that a user, a file or this machine can cause; each docstring says when it is raised.

Their text is for the user: what happened, the value, what is allowed, what to do next. Imports nothing of ours.
"""

from __future__ import annotations

from typing import Any


class TracewrightError(Exception):
    """The base of all below, for whoever shows any of them as one line."""


class ParamError(TracewrightError, ValueError):
    """Raised when a parameter is unknown, not a number, or outside its range."""


class RasterError(TracewrightError, ValueError):
    """Raised when an SVG can't be parsed or has no size."""


class SvgError(TracewrightError, ValueError):
    """Raised when an SVG that is to be written or handed out holds anything but what VTracer and the fills draw."""


class EngineError(TracewrightError, RuntimeError):
    """Raised when the version of VTracer that is asked for is unknown or not installed."""


class LogosError(TracewrightError, ValueError):
    """Raised when a folder of logos is missing or contains no usable picture."""


class NoPictureError(LogosError):
    """Raised when a folder contains no usable picture; ``skipped`` says of each file why."""

    def __init__(self, text: str, skipped: tuple[Any, ...] = ()) -> None:
        super().__init__(text)
        self.skipped = skipped


class PictureError(TracewrightError, ValueError):
    """Raised when a file is not a usable picture; the text gives the reason in a few words."""


class ConfigError(TracewrightError, ValueError):
    """Raised when a config file or setting is not valid; the text has one line per problem."""


class AccessError(TracewrightError, ValueError):
    """Raised when a console would answer people whom nobody asked who they are, or sign-in is set up incompletely."""


class RunError(TracewrightError, ValueError):
    """Raised when a run does not exist, or an action is not possible in its state."""


class ArchiveError(RunError):
    """Raised when a file is not a run archive, is damaged, or contains what an archive must not contain."""


class StudyError(TracewrightError, ValueError):
    """Raised when a study does not exist, can't be read, or an action is not possible in its state."""


class WorkerError(TracewrightError, RuntimeError):
    """Raised when workers can't be kept running, or no picture is left to work on."""


class ClusterError(WorkerError):
    """Raised when a Ray cluster can't be used now: it can't be reached, does not answer or has no capacity."""


class ClusterRefusedError(ClusterError):
    """Raised when a Ray cluster can't be used until a person acts: Ray or a token is missing, the token is refused, or versions differ."""


class TrainingError(TracewrightError, ValueError):
    """Raised when training can't go on, with what to do about it."""


class CheckpointError(TracewrightError, ValueError):
    """Raised when a checkpoint is missing, damaged or does not fit."""


class DamagedFileError(TracewrightError, ValueError):
    """Raised when a file exists but can't be read in its expected format; the text names the file and the reason."""


class BenchError(TracewrightError, RuntimeError):
    """Raised when a benchmark lacks what it needs; the text says what to do."""


class TrackerError(TracewrightError, RuntimeError):
    """Raised when another tracker can't be written to: its package or key is missing, or it refused; the text says what to do."""


class SourceError(TracewrightError, ValueError):
    """Raised when what another tracker wrote can't be read as runs; the text says which file and why."""


class StoreError(TracewrightError, RuntimeError):
    """Raised when the database can't be opened, with what to do about it."""


class FilmError(TracewrightError, RuntimeError):
    """Raised when a film can't be written: no encoder for its format on this machine, too much for it, or a file cut short."""
