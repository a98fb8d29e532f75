"""What deserves a person's attention in the event logs, and until when it was read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from core.config.installation import SEVERITIES, Severity
from core.files import write_aside
from core.runs.events import Event
from core.runs.status import Status

READ_FILE = "alerts_read.json"
KINDS = ("alert", "action", "warning", "worker_lost", "ended", "stage_ended", "attempt_started", "evaluation")
_QUICK = tuple(f'"kind":"{kind}"'.encode() for kind in KINDS)
_ENDED: dict[str, Severity] = {Status.FAILED.value: "severe", Status.STOPPED.value: "warning"}


@dataclass(frozen=True)
class Notice:
    """Something to tell. ``cause`` is alike for what is told once in a while only."""

    run_id: str
    ts: float
    step: int
    severity: Severity
    title: str
    text: str
    cause: str
    is_milestone: bool = False
    kind: str = ""
    data: dict[str, Any] | None = None  # of a finding


def notice_of(run_id: str, event: Event) -> Notice | None:
    """What an event deserves to be told as; None for most."""
    told = _text_of(event.kind, event.step, event.data)
    if told is None:
        return None
    severity, title, text, cause, is_milestone = told
    data = event.data if event.kind == "alert" else None
    return Notice(run_id, event.ts, event.step, severity, title, text, cause, is_milestone, event.kind, data)


def as_sentence(text: str) -> str:
    """Evidence as it stands in a log, as a sentence; the name of a metric keeps its small message."""
    is_name = bool(set("_/") & set(text.split(" ", 1)[0]))
    return f"{text if is_name else text[:1].upper() + text[1:]}."


def _text_of(kind: str, step: int, data: dict[str, Any]) -> tuple[Severity, str, str, str, bool] | None:
    if kind == "alert":
        severity = cast(Severity, data.get("severity") if data.get("severity") in SEVERITIES else "warning")
        text = f"{as_sentence(str(data.get('evidence', '')))} {data.get('cause', '')} {data.get('remedy', '')}"
        return severity, str(data.get("title", "Finding")), text, f"alert {data.get('rule', '')}", False
    if kind == "action":
        return "warning", "The doctor acted", str(data.get("text", "")), f"action {data.get('rule', '')}", False
    if kind == "warning":
        return "warning", "Warning", str(data.get("text", "")), f"warning {str(data.get('text', ''))[:40]}", False
    if kind == "worker_lost":
        return "warning", "A worker was replaced", str(data.get("reason", "")), "worker_lost", False
    if kind == "ended":
        status, gain = str(data.get("status", "")), data.get("gain")
        text = str(data.get("reason", "")) + (f"; validation gain {gain:+.3f}" if gain is not None else "")
        return _ENDED.get(status, "info"), f"Run {status.lower()}", text, "ended", True
    if kind == "stage_ended":
        text = f"{data.get('name', '')}: {data.get('why') or data.get('reason', '')}"
        return "info", f"Stage {str(data.get('reason', 'ended')).replace('_', ' ')}", text, f"stage {data.get('name', '')}", True
    if kind == "attempt_started" and data.get("cause"):
        return "warning", "Restarted", f"{data['cause']}, from step {data.get('from_step', step)}", "restarted", False
    if kind == "evaluation" and data.get("is_best") and step > 0 and data.get("gain") is not None:
        return "info", "New best", f"validation gain {data['gain']:+.3f}", "best", True
    return None


def last_read_ts(home: Path) -> float:
    """When the alerts were last marked as read, in seconds since 1970."""
    try:
        return float(json.loads((home / READ_FILE).read_text(encoding="utf-8"))["ts"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def mark_read(home: Path, ts: float) -> None:
    """All alerts up to ``ts`` were seen."""
    write_aside(home / READ_FILE, json.dumps({"v": 1, "ts": ts}).encode())
