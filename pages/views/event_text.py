"""Events of a run's log as people read them. Pure text."""

from __future__ import annotations

from typing import Any

from pages.views.text import gain_text

METHOD_LABELS = {"method1": "Method 1", "single": "best single setting", "random": "random search", "tpe": "TPE search"}


def decision_text(data: dict[str, Any]) -> str:
    """What the curriculum decided and why, in a line."""
    why = data.get("why") or f"{data['success_share']:.0%} successes after {data['n_episodes']} episodes"
    return f"{data['reason'].replace('_', ' ')} ({why})"


def detail(event: dict[str, Any]) -> str:
    data = event["data"]
    if event["kind"] == "attempt_started":
        where = data.get("from_checkpoint")
        return (
            f"attempt {event['attempt']}, pid {data.get('pid', 'unknown')}"
            + (f", from checkpoint {where}" if where else "")
            + (f", {data['cause']}" if data.get("cause") else "")
        )
    if event["kind"] == "checkpoint":
        return f"{data.get('name', '')} (gain {gain_text(data.get('gain'))})"
    if event["kind"] == "baseline":
        return f"{METHOD_LABELS.get(data.get('method', ''), data.get('method', ''))}: gain {gain_text(data.get('gain'))}"
    if event["kind"] == "worker_lost":
        return f"{data.get('worker', '')}: {data.get('reason', '')}" + (f", at {data['logo']}" if data.get("logo") else "")
    if event["kind"] in ("stage_ended", "stage_decision"):
        return f"{data.get('name', '')}: {decision_text(data)}"
    if event["kind"] == "alert":
        return f"{data.get('title', '')}: {data.get('evidence', '')}"
    if event["kind"] == "action":
        return f"the doctor {data.get('text', '')}"
    if event["kind"] == "stage_evaluation":
        return ", ".join(f"{name} {share:.0%}" for name, share in data.get("shares", {}).items())
    for key in ("phase", "text", "reason", "name"):
        if data.get(key):
            return str(data[key])
    return ""
