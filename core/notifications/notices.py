"""Notices: the events that deserve a person's attention, and up to when they were read."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from core.config.installation import SEVERITIES, Severity
from core.files import write_aside
from core.runs.event_types import (
    ActionTaken,
    AlertRaised,
    AttemptStarted,
    Ended,
    EvaluationEnded,
    Record,
    StageEnded,
    WarningGiven,
    WorkerLost,
)
from core.runs.events import Event
from core.runs.small_files import Moment, read_or_none
from core.runs.status import Status

READ_FILE = "alerts_read.json"
TOLD = (AlertRaised, ActionTaken, WarningGiven, WorkerLost, Ended, StageEnded, AttemptStarted, EvaluationEnded)
KINDS = tuple(record.kind for record in TOLD)  # no other event gives a notice
ASKED = "asked to stop"  # how the reason of a run begins that a person stopped: no cause for a warning
_ENDED: dict[str, Severity] = {Status.FAILED.value: "severe", Status.STOPPED.value: "warning"}


@dataclass(frozen=True)
class Notice:
    """Something to report. Notices of a run with the same ``cause`` are repeated only after a pause."""

    run_id: str
    ts: float
    step: int
    severity: Severity
    title: str
    text: str
    cause: str
    is_milestone: bool = False
    kind: str = ""
    data: AlertRaised | None = None  # of a finding


def notice_of(run_id: str, event: Event) -> Notice | None:
    """The notice that an event gives; None for most."""
    told = _text_of(event.data, event.step)
    if told is None:
        return None
    severity, title, text, cause, is_milestone = told
    finding = event.data if isinstance(event.data, AlertRaised) else None
    return Notice(run_id, event.ts, event.step, severity, title, text, cause, is_milestone, event.kind, finding)


def as_sentence(text: str) -> str:
    """Evidence from a log as a sentence; a metric's name at its start stays in lower case."""
    is_name = bool(set("_/") & set(text.split(" ", 1)[0]))
    return f"{text if is_name else text[:1].upper() + text[1:]}."


def _text_of(record: Record, step: int) -> tuple[Severity, str, str, str, bool] | None:
    match record:
        case AlertRaised():
            severity: Severity = record.severity if record.severity in SEVERITIES else "warning"
            text = f"{as_sentence(record.evidence)} {record.cause} {record.remedy}"
            return severity, record.title, text, f"alert {record.rule}", False
        case ActionTaken():
            return "warning", "The doctor intervened", record.text, f"action {record.rule}", False
        case WarningGiven():
            return "warning", "Warning", record.text, f"warning {record.text[:40]}", False
        case WorkerLost():
            title = f"The {record.worker} was lost" if record.is_node else "A worker was replaced"
            return "warning", title, record.reason, "worker_lost", False
        case Ended():
            text = record.reason + (f"; validation gain {record.gain:+.3f}" if record.gain is not None else "")
            if Status(record.status) is Status.UNKNOWN:
                return "warning", "Run ended with an unknown status", text, "ended", True
            by_hand = record.status == Status.STOPPED.value and record.reason.startswith(ASKED)
            return "info" if by_hand else _ENDED.get(record.status, "info"), f"Run {record.status.lower()}", text, "ended", True
        case StageEnded():
            text = f"{record.name}: {record.why or record.reason}"
            return "info", f"Stage {record.reason.replace('_', ' ')}", text, f"stage {record.name}", True
        case AttemptStarted() if record.cause:
            return "warning", "Restarted", f"{record.cause}, from step {record.from_step}", "restarted", False
        case EvaluationEnded() if record.is_best and step > 0 and math.isfinite(record.gain):
            return "info", "New best", f"validation gain {record.gain:+.3f}", "best", True
    return None


def last_read_ts(home: Path) -> float:
    """When the alerts were last marked as read, as a Unix time in seconds."""
    found = read_or_none(home / READ_FILE, Moment)
    return found.ts if found else 0.0


def mark_read(home: Path, ts: float) -> None:
    """Mark all alerts up to ``ts`` as read."""
    write_aside(home / READ_FILE, json.dumps({"v": 1, "ts": ts}).encode())
