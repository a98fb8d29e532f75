"""One training run, from its folder to its last event. The only writer of the run's log.

Guarantees: whatever ends a run (done, a signal, an error), the log says so with the reason, unless the process was
killed; and after every update and every stop there is a checkpoint from which training resumes exactly.
"""

from __future__ import annotations

import logging
import os
import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import cv2

from core.agents.sealed import damage_of
from core.config.config import RunConfig
from core.environment.experience import experience_of, read_experience
from core.environment.spec import env_spec
from core.errors import CheckpointError, ClusterError, DamagedFileError, RunError
from core.health.doctor import Doctor
from core.health.history import SEEN
from core.machine import Process
from core.runs.event_types import AttemptStarted, Ended, WarningGiven
from core.runs.events import EventWriter, read_backwards, read_events
from core.runs.records import read_config, read_parent, read_pruning, training_lock
from core.runs.requirements import check_preflight
from core.runs.run_dir import PARENT_CHECKPOINT, RunDir
from core.runs.status import Status
from core.search.outcome_model import MIN_CONVERSIONS, fit
from core.trackers.launch import Followers
from core.training.checkpoint_manager import find_start
from core.training.checkpoint_state import TrainState, versions
from core.training.data_loader import DataLoader
from core.training.disk_guard import DiskGuard
from core.training.evaluator import Evaluator
from core.training.heartbeat import HeartbeatWriter
from core.training.hourly import HourlyNotes
from core.training.session import Context, Extras, Session

log = logging.getLogger("tracewright")
MOST_OF_REASON, MOST_OF_CLUSTER = 500, 4000  # characters of an error that are told; a cluster's is a list of what differs where


@dataclass(frozen=True)
class Ending:
    """How a run ended."""

    status: Status
    reason: str
    gain: float | None
    verdict: str = ""  # on the best evaluation, against the best single setting


def _import_learning() -> None:
    import core.agents.checkpoint  # noqa: F401
    from core.agents.optimizers import leave_out_compiler

    leave_out_compiler()


def train(
    run: RunDir, resume: bool = False, checkpoint: str = "", cause: str = "", after_attempt: int | None = None, extras: Extras | None = None
) -> Ending:
    """Run a training in this process until it ends.

    ``checkpoint``: resume from this one instead of the last; ``cause``: why it was started again, for the log;
    ``after_attempt``: the last attempt that whoever started this knew of.

    Raises:
        RunError: another trainer has the run, or had it since.
    """
    cv2.setNumThreads(1)  # the loading threads and the workers have the cores
    extras = extras or Extras()
    stop = extras.stop
    with training_lock(run):
        last = next(read_backwards(run.events_file), None)
        if after_attempt is not None and last is not None and last.attempt > after_attempt:
            raise RunError(f"{run.run_id} was started by another process in the meantime (attempt {last.attempt})")
        config = read_config(run)
        check_preflight(config, run.path.parent)
        with EventWriter(run.events_file) as events, HeartbeatWriter(run, stop) as heartbeat, stop.listening():
            events.listen(HourlyNotes(config.total_timesteps))
            for listener in extras.listeners:
                events.listen(listener)
            context = _context(run, config, events, heartbeat, extras)
            try:
                ending = Trainer(context, extras).run_to_end(resume, checkpoint, cause)
            except Exception as error:
                if not run.exists():
                    raise RunError(f"{run.path} was deleted or moved during training; the training ended") from error
                reason = str(error) or type(error).__name__
                most = MOST_OF_CLUSTER if isinstance(error, ClusterError) else MOST_OF_REASON
                events.write(heartbeat.step, Ended(Status.FAILED, reason[:most], error=type(error).__name__))
                events.sync()
                raise
            events.write(heartbeat.step, Ended(ending.status, ending.reason, ending.gain, context.state.best_gain, verdict=ending.verdict))
            events.sync()
    log.info("%s: %s", ending.status, ending.reason)
    return ending


def _context(run: RunDir, config: RunConfig, events: EventWriter, heartbeat: HeartbeatWriter, extras: Extras) -> Context:
    spec, disk_guard = env_spec(config), DiskGuard(run, heartbeat, extras.stop)
    events.on_error = disk_guard.wait
    data = DataLoader(run, config, spec, events, heartbeat, disk_guard)
    return Context(
        run=run,
        config=config,
        spec=spec,
        events=events,
        heartbeat=heartbeat,
        stop=extras.stop,
        disk_guard=disk_guard,
        data=data,
        evaluator=Evaluator(run, config, spec, events, data, disk_guard),
        checkpoints=extras.checkpoint_manager(run, config, events, disk_guard),
        doctor=Doctor(config),
        state=TrainState(),
        followers=Followers(run, config, events),
    )


@dataclass(frozen=True)
class _Origin:
    """Where an attempt begins: a checkpoint's folder and state, or nothing."""

    folder: Path | None = None
    restored: dict[str, Any] | None = None
    is_newest: bool = True  # of the run's own checkpoints

    @property
    def is_fork(self) -> bool:
        return self.folder is not None and self.folder.name == PARENT_CHECKPOINT

    @property
    def is_new(self) -> bool:
        """Whether it begins at step 0."""
        return self.restored is None or self.is_fork

    @property
    def step(self) -> int:
        return int(self.restored["step"]) if self.restored else 0


@contextmanager
def _damage(folder: Path | None) -> Iterator[None]:
    """A state that is whole by its checksum but does not hold what it should is an error of the checkpoint."""
    try:
        with damage_of("state.json"):
            yield
    except DamagedFileError as error:
        raise CheckpointError(f"{folder}: {error}; use another checkpoint") from error


class Trainer:
    """One attempt, from finding its checkpoint to its ending."""

    def __init__(self, context: Context, extras: Extras) -> None:
        self.context, self._extras = context, extras

    def run_to_end(self, resume: bool, checkpoint: str, cause: str) -> Ending:
        c = self.context
        learning = threading.Thread(target=_import_learning, name="import", daemon=True)
        learning.start()  # three seconds of imports, while the logos load and the workers prepare them
        parent = read_parent(c.run)
        folder, restored, notes = find_start(c.run, checkpoint) if resume or parent is not None else (None, None, [])
        origin = _Origin(folder, restored, is_newest=checkpoint in ("", "last"))
        c.heartbeat.step = origin.step
        self._write_start(origin, cause)
        self._note(notes, origin)
        c.followers.start(origin.step)
        if resume:
            c.doctor.replay(event for event in read_events(c.run.events_file, SEEN) if event.step <= origin.step)
        c.events.listen(c.doctor.observe)
        if folder is not None and not origin.is_fork:
            origin = replace(origin, folder=c.checkpoints.adopt(folder))
        kept = {} if origin.is_new else restored or {}
        c.data.open(str(kept.get("logos_digest") or ""), list(kept.get("aside", [])))
        try:
            learning.join()
            return self._learn(origin)
        finally:
            c.data.pool.close()

    def _write_start(self, origin: _Origin, cause: str) -> None:
        c = self.context
        process, parent = Process.of(os.getpid()), read_parent(c.run)
        told = AttemptStarted(
            from_step=origin.step,
            total_timesteps=c.config.total_timesteps,
            pid=process.pid,
            create_time=process.create_time,
            from_checkpoint=origin.folder.name if origin.folder else None,
            cause=cause,
            parent=asdict(parent) if parent else None,
            host=platform.node(),
            python=platform.python_version(),
            versions=versions(),
            seed=c.config.seed,
        )
        c.events.write(origin.step, told)

    def _note(self, notes: list[str], origin: _Origin) -> None:
        """Warn about the unexpected: damaged checkpoints, package versions that have changed."""
        if notes:
            notes = [f"{'; '.join(notes)}. The run {f'continues from {origin.folder.name}' if origin.folder else 'begins again'} instead"]
        before, now = (origin.restored or {}).get("versions") or {}, versions()
        changed = [f"{name} {before[name]} to {now[name]}" for name in now if name in before and before[name] != now[name]]
        if changed:
            notes.append(f"packages changed since the checkpoint: {', '.join(changed)}; results may no longer be identical bit for bit")
        for text in notes:
            log.warning("%s", text)
            self.context.events.write(self.context.heartbeat.step, WarningGiven(text))

    def _learn(self, origin: _Origin) -> Ending:
        import torch

        from core.agents.checkpoint import load_weights, restore_rng

        torch.set_num_threads(1)  # so small a network is fastest on one; the workers have the cores
        c = self.context
        session = Session(c, self._extras)
        if origin.restored is not None and origin.folder is not None:
            load_weights(origin.folder, session.agent, origin.restored)
            with _damage(origin.folder):
                session.restore(origin.restored, origin.is_fork, origin.is_newest)
        session.stage_callback.set_eligible()
        if origin.is_new:
            session.evaluation.evaluate(session.step())
            c.data.phase("measuring the baselines")
            c.evaluator.write_references(c.heartbeat.step)
        elif origin.restored is not None:
            with _damage(origin.folder):
                restore_rng(origin.restored["rng"])
        c.heartbeat.phase = "training"
        is_open = session.step() < c.config.total_timesteps and not session.curriculum.is_finished
        if not c.stop and not origin.is_new and origin.restored is not None:
            with _damage(origin.folder):
                session.put_environments_back(origin.restored)
        if not c.stop and is_open:
            if origin.is_new:
                session.stage_callback.write_stage_start()
                session.stages.on_start(session.policy)
            self._learn_on(session)
        return self._finish(session)

    def _learn_on(self, session: Session) -> None:
        """Train until the end, or until something ends it; continue if an update broke the networks and they could be
        restored."""
        agent = session.agent
        while True:
            # With the counter kept, learn() adds what is given here to it: the horizon of the schedules stays.
            remaining = self.context.config.total_timesteps - agent.num_timesteps
            try:
                agent.learn(remaining, callback=session.callbacks, reset_num_timesteps=False, progress_bar=False)
                return
            except ValueError:  # torch's, of a distribution whose parameters are no numbers
                if session.interventions.is_finite():
                    raise
                session.metrics.drop_update()
                self.context.doctor.note_not_finite(agent.num_timesteps)
                if not session.health.look(agent.num_timesteps):
                    return

    def _finish(self, session: Session) -> Ending:
        c, state, step = self.context, self.context.state, session.step()
        has_last_update = session.metrics.finish()  # learn() ends with an update that no rollout follows
        c.followers.look(step, is_last=True)
        c.heartbeat.step = step
        left_out = self._save_at_stop(session, has_last_update) if c.stop else ""
        if c.stop and (pruning := read_pruning(c.run)) is not None:
            return Ending(Status.PRUNED, pruning.reason, state.last_gain, state.verdict)
        if c.stop:
            kept = c.run.last_checkpoint()
            told = f"{c.stop.reason}; resumes from {kept.name if kept else 'the start'}{left_out}"
            return Ending(Status.STOPPED, told, state.last_gain, state.verdict)
        session.close_rollout()
        if session.interventions.has_stopped:
            return Ending(Status.STOPPED, state.end_reason, state.last_gain, state.verdict)
        if state.last_evaluated < step and session.interventions.is_finite():
            session.evaluation.evaluate(step)
        session.health.look(step)
        session.stages.on_end(session.policy)
        session.save("last")
        self._learn_outcomes(session)
        reason = state.end_reason or ("the last stage ended" if session.curriculum.is_finished else "all steps done")
        return Ending(Status.COMPLETED, reason, state.last_gain, state.verdict)

    def _save_at_stop(self, session: Session, has_last_update: bool) -> str:
        """Save what no checkpoint holds yet: the open rollout, or the last update; returns what to say where that can't be done."""
        c = self.context
        is_open = session.agent.is_rollout_open and not c.state.is_over
        if not c.run.exists() or not (is_open or has_last_update) or not session.interventions.is_finite():
            return ""
        try:
            session.save("last")
        except (OSError, CheckpointError) as error:
            return f", without the steps since then ({error})"
        return ""

    def _learn_outcomes(self, session: Session) -> None:
        """Fit the outcome model and add it to the kept checkpoints."""
        c, config = self.context, self.context.config.outcome
        rows = read_experience(c.run.experience_file, session.vec_env.experience.n_written)
        if not config.members or len(rows) < MIN_CONVERSIONS:
            return
        from core.agents.checkpoint import add_outcome_model

        c.data.phase(f"learning the outcomes of {len(rows)} conversions")
        experience = experience_of(rows, c.data.logos, c.data.pool)
        outcomes = fit(experience, c.config.seed, config.members, config.units, config.epochs)
        for name in ("last", "best"):
            if (c.run.checkpoints / name).is_dir():
                add_outcome_model(c.run.checkpoints / name, outcomes)
