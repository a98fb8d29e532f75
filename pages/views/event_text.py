"""Events of a run's log as people read them. Pure text."""

from __future__ import annotations

from core.runs.event_types import (
    ActionTaken,
    AlertRaised,
    AttemptStarted,
    BaselineMeasured,
    CheckpointSaved,
    StageDecision,
    StageEvaluation,
    WorkerLost,
)
from core.runs.events import Event
from core.search.baselines import BASELINES
from core.search.searchers import SEARCHES
from pages.views.text import gain_text

METHOD_LABELS = {name: b.label for name, b in BASELINES.items()} | {name: s.label for name, s in SEARCHES.items()}


def decision_text(reason: str, why: str, success_share: float, n_episodes: float) -> str:
    """What the curriculum decided and why, in a line."""
    return f"{reason.replace('_', ' ')} ({why or f'{success_share:.0%} successes after {n_episodes:.0f} episodes'})"


def text_of_decision(decision: StageDecision) -> str:
    return decision_text(decision.reason, decision.why, decision.success_share, decision.n_episodes)


def detail(event: Event) -> str:
    """An event in a line; empty for what its kind says already."""
    match event.data:
        case AttemptStarted() as start:
            where = f", from checkpoint {start.from_checkpoint}" if start.from_checkpoint else ""
            return f"attempt {event.attempt}, pid {start.pid or 'unknown'}{where}" + (f", {start.cause}" if start.cause else "")
        case CheckpointSaved() as saved:
            return f"{saved.name} (gain {gain_text(saved.gain)})"
        case BaselineMeasured() as measured:
            return f"{METHOD_LABELS.get(measured.method, measured.method)}: gain {gain_text(measured.gain)}"
        case WorkerLost() as lost:
            return f"{lost.worker}: {lost.reason}" + (f", at {lost.logo}" if lost.logo else "")
        case StageDecision() as decision:
            return f"{decision.name}: {text_of_decision(decision)}"
        case AlertRaised() as alert:
            return f"{alert.title}: {alert.evidence}"
        case ActionTaken() as action:
            return f"the doctor {action.text}"
        case StageEvaluation() as evaluation:
            return ", ".join(f"{name} {share:.0%}" for name, share in evaluation.shares.items())
        case other:
            return next((str(value) for key in ("phase", "text", "reason", "name") if (value := getattr(other, key, ""))), "")


def short_label(event: Event) -> str:
    """An event in a few words."""
    match event.data:
        case AttemptStarted():
            return f"attempt {event.attempt}"
        case StageDecision() as decision if decision.kind == StageDecision.kind:
            return f"{decision.name}: {decision.reason.replace('_', ' ')}"
        case other:
            return str(getattr(other, "title", "") or getattr(other, "text", "") or event.kind.replace("_", " "))
