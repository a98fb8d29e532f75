"""The table of actions: what changes anything in a console, and the role that it takes. What is not in it only reads.

pages/views/access.py holds it in front of every action; docs/access.md is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from core.access.roles import Role


@dataclass(frozen=True)
class Action:
    """``name``: in the audit trail; ``title``: what it does, for people."""

    name: str
    title: str
    role: Role


_VIEWER = {
    "export.prepare": "Prepare an export of runs for download",
    "view.save": "Save a view of the list of runs",
    "view.delete": "Delete a saved view of the list of runs",
}
_TRAINER = {
    "run.start": "Start a run",
    "run.fork": "Fork a run",
    "run.stop": "Stop or kill a run",
    "run.pause": "Pause a run",
    "run.continue": "Continue a paused run",
    "run.resume": "Resume a run",
    "run.steer": "Steer a run's curriculum",
    "run.rename": "Rename a run",
    "run.tag": "Change a run's tags",
    "run.note": "Change a run's note",
    "run.baseline": "Choose the baseline run",
    "run.archive": "Archive or unarchive a run",
    "run.delete": "Delete a run; it can be restored for a week",
    "run.restore": "Restore a deleted run",
    "run.import": "Import run archives",
    "queue.cancel": "Take a run out of the queue",
    "queue.move": "Move a run in the queue",
    "study.start": "Start a study",
    "study.stop": "Stop a study",
    "study.continue": "Continue a study",
    "study.train": "Train a study's trial with the full budget",
    "preset.save": "Save a trial as a preset",
    "curriculum.save": "Save a curriculum",
    "curriculum.delete": "Delete a saved curriculum",
    "logos.relabel": "Change a logo's category or split",
    "logos.add": "Create a set of logos or add pictures to it",
    "files.give": "Choose files to optimize, to add to a set or to try on the workbench",
    "batch.start": "Optimize pictures",
    "batch.cancel": "Cancel a batch",
    "batch.choose": "Choose results of a batch",
    "batch.delete": "Delete a batch",
    "batch.restore": "Restore a deleted batch",
    "favourite.save": "Save a setting of the workbench",
    "favourite.delete": "Remove a saved setting of the workbench",
    "picture.trace": "Trace a picture under settings that nobody has tried",
    "choice.answer": "Answer in a blind comparison, or undo an answer",
    "film.make": "Make a film",
    "film.cancel": "Cancel a film",
    "film.delete": "Delete a film",
    "model.register": "Register a model",
    "model.note": "Change a model's note",
    "report.make": "Make a report",
    "report.print": "Make the PDF of a report",
    "report.delete": "Delete a report; it can be restored for a week",
    "report.restore": "Restore a deleted report",
    "alerts.read": "Mark all alerts as read",
}
_ADMIN = {
    "trash.empty": "Delete the deleted runs for good",
    "study.delete": "Delete a study for good",
    "logos.delete": "Delete a set of logos for good",
    "model.promote": "Make a model the default",
    "model.delete": "Delete a model; it can be restored for a week",
    "model.restore": "Restore a deleted model",
    "settings.save": "Change the settings of the installation",
    "cluster.test": "Test a connection to a Ray cluster, with its token",
    "settings.test": "Send a test message to every saved address",
}
ACTIONS: dict[str, Action] = {
    name: Action(name, title, role)
    for role, titles in ((Role.VIEWER, _VIEWER), (Role.TRAINER, _TRAINER), (Role.ADMIN, _ADMIN))
    for name, title in titles.items()
}
