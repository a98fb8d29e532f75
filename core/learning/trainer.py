"""One training run, from its folder to its last event. The only writer of the run's log.

Guarantees: whatever ends a run (done, a signal, an error), the log says so with the reason, unless the process was
killed; and after every update there is a checkpoint from which training goes on exactly.
"""

from __future__ import annotations

import logging
import os
import platform
import shutil
import threading
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from core.learning.curriculum import Curriculum
from core.learning.evaluation import LogoResult, evaluate_baseline, evaluate_policy, spread_over_categories, summarise
from core.learning.experience import experience_of, read_experience
from core.learning.outcome_model import MIN_CONVERSIONS, fit
from core.learning.picture_store import PictureStore
from core.learning.preparation import Preparations
from core.learning.pulse import Heartbeat, StopFlag
from core.learning.spec import env_spec, worker_limits
from core.learning.stages import StageKeeper
from core.learning.workers import Loss, WorkerPool
from core.logos.augment import variants
from core.logos.dataset import BUILTIN, Logo, LogosError, LogoSet, Shares, load_logos
from core.runs.config import RunConfig
from core.runs.events import EventWriter
from core.runs.run_dir import Process, RunDir, runs_home, trace_cache_file, write_aside
from core.runs.status import Status
from core.tracing.cache import TraceCache
from core.tracing.params import NAMES
from core.tracing.picture import encode_png

log = logging.getLogger("tracewright")
REFERENCE_METHODS = ("method1", "single")
_PACKAGES = ("torch", "stable-baselines3", "gymnasium", "vtracer", "numpy", "thorvg-python", "opencv-python-headless")


@dataclass(frozen=True)
class Ending:
    """How a run ended."""

    status: Status
    reason: str
    gain: float | None


def _import_learning() -> None:
    import torch

    import core.learning.agent  # noqa: F401

    torch.optim.Adam([torch.zeros(1)])  # the first optimiser imports for another second


def load_set(config: RunConfig) -> LogoSet:
    """The logos that a config names."""
    c = config.logos
    return load_logos(c.path, c.work_size, Shares(c.validation_share, c.test_share), c.builtin_seed, c.n_per_category)


def train(run: RunDir, resume: bool = False) -> Ending:
    """Run a training in this process until it ends."""
    cv2.setNumThreads(1)  # the loading threads and the workers have the cores
    stop = StopFlag()
    with run.training_lock(), EventWriter(run.events_file) as events, Heartbeat(run) as pulse, stop.listening():
        trainer = Trainer(run, run.read_config(), events, pulse, stop)
        try:
            ending = trainer.run_to_end(resume)
        except Exception as error:
            reason = str(error) or type(error).__name__
            events.write("ended", pulse.step, {"status": Status.FAILED, "reason": reason[:500], "error": type(error).__name__})
            events.sync()
            raise
        data = {"status": ending.status, "reason": ending.reason, "gain": ending.gain, "best_gain": trainer.best_gain}
        events.write("ended", pulse.step, data)
        events.sync()
    log.info("%s: %s", ending.status, ending.reason)
    return ending


class Trainer:
    """The parts of one attempt."""

    def __init__(self, run: RunDir, config: RunConfig, events: EventWriter, pulse: Heartbeat, stop: StopFlag) -> None:
        self.run, self.config, self.events, self.pulse, self.stop = run, config, events, pulse, stop
        self.spec = env_spec(config)
        self.best_gain: float | None = None
        self.last_gain: float | None = None
        self._n_without_best = 0
        self._end_reason = ""
        self._last_evaluated = -1
        self._last_periodic = 0

    def run_to_end(self, resume: bool) -> Ending:
        learning = threading.Thread(target=_import_learning, name="import", daemon=True)
        learning.start()  # three seconds of imports, while the logos load and the workers prepare them
        restored: dict[str, Any] | None = None
        folder = self.run.last_checkpoint() if resume else None
        if folder is not None:
            from core.learning.agent import read_checkpoint

            _, restored = read_checkpoint(folder)
        from_step = int(restored["step"]) if restored else 0
        self.pulse.step = from_step
        self._write_start(from_step, folder)
        logos = self._load_logos(restored)
        pool = self._open_pool(logos, restored)
        try:
            learning.join()
            return self._learn(pool, folder, restored)
        finally:
            pool.close()

    def _write_start(self, from_step: int, folder: Path | None) -> None:
        process = Process.of(os.getpid())
        versions = {name: metadata.version(name) for name in _PACKAGES}
        data = {
            "pid": process.pid,
            "create_time": process.create_time,
            "from_step": from_step,
            "from_checkpoint": folder.name if folder else None,
            "host": platform.node(),
            "python": platform.python_version(),
            "versions": versions,
            "seed": self.config.seed,
            "total_timesteps": self.config.total_timesteps,
        }
        self.events.write("attempt_started", from_step, data)

    def _phase(self, text: str) -> None:
        self.pulse.phase = text
        self.events.write("phase", self.pulse.step, {"phase": text})
        log.info("%s", text)

    def _load_logos(self, restored: dict[str, Any] | None) -> LogoSet:
        self._phase("loading logos")
        found = load_set(self.config)
        if restored and restored.get("logos_digest") not in (None, found.digest()):
            raise LogosError(
                f"the logos in {self.config.logos.path} differ from those this run was trained on; restore them or start a new run"
            )
        skipped = [{"source": s.source, "reason": s.reason} for s in found.skipped]
        for item in skipped:
            log.warning("left out %s: %s", item["source"], item["reason"])
        data = {
            "path": self.config.logos.path,
            "counts": found.counts(),
            "skipped": skipped,
            "digest": found.digest(),
            "n_logos": len(found.logos),
        }
        self.events.write("logos_loaded", self.pulse.step, data)
        self._logos_digest = found.digest()
        return found

    def _open_pool(self, found: LogoSet, restored: dict[str, Any] | None) -> WorkerPool:
        """Train logos first, then the validation logos of each evaluation."""
        train, validation = found.of_split("train"), found.of_split("validation")
        if not train:
            raise LogosError(f"{self.config.logos.path} leaves no logo to train on: it holds {len(found.logos)}; add pictures")
        places = spread_over_categories(validation, range(len(validation)), self.config.evaluation.max_logos)
        train = self._with_more(train)
        self.pictures: list[Logo] = [*train, *(validation[i] for i in places)]
        self.n_train = len(train)
        self.evaluated = list(range(self.n_train, len(self.pictures))) or list(range(min(self.n_train, self.config.evaluation.max_logos)))
        if not validation:
            self.events.write(
                "warning",
                self.pulse.step,
                {"text": "no validation logos: evaluations use the training logos and do not show generalisation"},
            )
        self._phase(f"preparing {len(self.evaluated)} of {len(self.pictures)} logos")
        self.logos = Preparations(self.pictures, self.evaluated)
        # A CPU time of another hour does not compare with one of now: with a speed weight, nothing old is used.
        cache = TraceCache(None if self.spec.weights.speed else trace_cache_file(runs_home()))
        pool = WorkerPool(PictureStore.create(self.pictures), self.config.n_workers, worker_limits(self.config), cache, self._on_loss)
        try:
            for i in self._places(restored.get("aside", []) if restored else []):
                pool.put_aside(i)
            self.evaluated = self.logos.prepare(pool, [i for i in self.evaluated if i not in pool.aside])
            if not self.evaluated:
                raise LogosError("none of the validation logos can be traced; see the log")
            self._keep_pictures()
        except BaseException:
            pool.close()
            raise
        return pool

    def _with_more(self, train: list[Logo]) -> list[Logo]:
        """The training logos, built-in ones beside them, and variants of all."""
        c = self.config.logos
        if c.add_builtin and c.path != BUILTIN:
            known = {logo.digest for logo in train}
            made = load_logos(BUILTIN, c.work_size, Shares(c.validation_share, c.test_share), c.builtin_seed, c.add_builtin)
            train = [*train, *(logo for logo in made.of_split("train") if logo.digest not in known)]
        if not c.variants:
            return train
        self._phase(f"making {c.variants} variants of {len(train)} logos")
        return [*train, *variants(train, c.variants, self.config.seed)]

    def _places(self, digests: list[str]) -> list[int]:
        return [i for i, logo in enumerate(self.pictures) if logo.digest in digests]

    def _on_loss(self, loss: Loss) -> None:
        """A worker was replaced: into the log, with what repeats the case."""
        data: dict[str, Any] = {"worker": loss.worker, "failure": loss.failure, "reason": loss.reason}
        repeat = ""
        if loss.job is not None:
            logo = self.pictures[loss.job.index]
            path = self.run.case_file(logo.digest)
            if not path.exists():
                write_aside(path, encode_png(logo.pixels))
            values = ",".join(f"{float(v):.10g}" for v in loss.job.params.values())
            repeat = f"python -m core logos trace {path} --params {values}"
            data |= {"logo": logo.name, "digest": logo.digest, "params": loss.job.params.as_dict(), "put_aside": loss.is_put_aside}
            data |= {"case": self.run.relative(path)}
        log.warning("%s was replaced (%s: %s)%s", loss.worker, loss.failure, loss.reason, f"; to repeat: {repeat}" if repeat else "")
        self.events.write("worker_lost", self.pulse.step, data)
        if loss.is_put_aside and loss.job is not None:
            text = f"{self.pictures[loss.job.index].name} is put aside: it cost {self.config.workers.max_losses} workers"
            log.warning("%s", text)
            self.events.write("warning", self.pulse.step, {"text": text})

    def _keep_pictures(self) -> None:
        """What the Gallery shows beside the agent's SVGs: each validation logo and its SVG under the defaults."""
        for i in self.evaluated:
            logo = self.logos[i]
            if not self.run.default_svg_file(logo.digest).exists():
                write_aside(self.run.picture_file(logo.digest), encode_png(self.pictures[i].pixels))
                write_aside(self.run.default_svg_file(logo.digest), logo.default_svg.encode())

    def _learn(self, pool: WorkerPool, folder: Path | None, restored: dict[str, Any] | None) -> Ending:
        import torch
        from stable_baselines3.common.logger import Logger

        from core.learning.agent import Policy, build_agent, load_weights, restore_rng, wrap
        from core.learning.callbacks import EpisodeRecorder, EventLogWriter
        from core.learning.vec_env import PoolVecEnv

        torch.set_num_threads(1)  # so small a network is fastest on one; the workers have the cores
        self.pool = pool
        self.vec_env = PoolVecEnv(pool, self.logos, self.spec, self.config.n_envs, self.config.seed)
        self.agent = build_agent(self.config, wrap(self.config, self.vec_env))
        self.agent.set_logger(Logger(folder=None, output_formats=[EventLogWriter(self.events)]))
        self.policy = Policy(self.agent)
        self.curriculum = Curriculum(self.config.curriculum)
        self.recorder = EpisodeRecorder(
            self.events, self.vec_env, self.pictures, self.curriculum, self.config.curriculum, self._on_boundary, lambda: bool(self.stop)
        )
        self.recorder.n_train = self.n_train
        self.stages = StageKeeper(
            self.run, self.events, self.curriculum, self.recorder, pool, self.logos, self.spec, self.pictures, self.evaluated, self.n_train
        )
        if restored is not None and folder is not None:
            load_weights(folder, self.agent, restored)
            self._restore(restored)
        self.recorder.set_eligible()
        if restored is None:
            self._evaluate()
            self._write_references()
        else:
            restore_rng(restored["rng"])
        self.pulse.phase = "training"
        if not self.stop and self.agent.num_timesteps < self.config.total_timesteps and not self.curriculum.is_finished:
            if restored is None:
                self.recorder.num_timesteps = 0
                self.recorder.write_stage_start()
                self.stages.on_start(self.policy)
            else:
                self._put_environments_back(restored)
            # With the counter kept, learn() adds what is given here to it: the horizon of the schedules stays.
            remaining = self.config.total_timesteps - self.agent.num_timesteps
            self.agent.learn(remaining, callback=self.recorder, reset_num_timesteps=False, progress_bar=False)
        return self._finish()

    def _restore(self, restored: dict[str, Any]) -> None:
        trainer = restored["trainer"]
        self.curriculum.restore(trainer["curriculum"])
        self.stages.restore(trainer.get("stages", {}))
        self.vec_env.experience.n_written = int(restored.get("n_experience", 0))
        self.recorder.n_episodes = int(trainer["n_episodes"])
        self.best_gain, self.last_gain = trainer["best_gain"], trainer["last_gain"]
        self._n_without_best = int(trainer["n_without_best"])
        self._last_evaluated, self._last_periodic = int(trainer["last_evaluated"]), int(trainer["last_periodic"])

    def _put_environments_back(self, restored: dict[str, Any]) -> None:
        from collections import deque

        from stable_baselines3.common.vec_env import VecNormalize

        self.vec_env.reset()
        observations = self.vec_env.restore(restored["environments"])
        env = self.agent.get_env()
        if isinstance(env, VecNormalize):
            env.old_obs = observations
            observations = env.normalize_obs(observations)  # type: ignore[assignment]
        self.agent._last_obs = observations
        starts = restored["agent"]["episode_starts"]
        self.agent._last_episode_starts = np.array(starts, dtype=bool) if starts is not None else np.ones(self.config.n_envs, dtype=bool)
        window = self.agent._stats_window_size
        self.agent.ep_info_buffer = deque(restored["agent"]["ep_info"], maxlen=window)
        self.agent.ep_success_buffer = deque(maxlen=window)

    def _on_boundary(self) -> bool:
        """Between two updates. Returns whether to go on."""
        step = self.agent.num_timesteps
        self.pulse.step = step
        self.stages.on_boundary(self.policy)
        if step - max(self._last_evaluated, 0) >= self.config.evaluation.every_steps:
            self._evaluate()
        self._save("last")
        if step - self._last_periodic >= self.config.checkpoint.every_steps:
            self._last_periodic = step
            self._save(f"step-{step:010d}")
            self._prune()
        if self.config.early_stop.enabled and self._n_without_best >= self.config.early_stop.patience:
            self._end_reason = f"stopped early: {self._n_without_best} evaluations without a new best"
            return False
        return True

    def _write_references(self) -> None:
        """Baselines on the same validation logos, for the lines that the agent's curve is seen against."""
        self._phase("measuring the baselines")
        for method in REFERENCE_METHODS:
            results = evaluate_baseline(self.pool, self.logos, self.evaluated, method)
            self.events.write("baseline", 0, {"method": method} | summarise(results))

    def _evaluate(self) -> None:
        step = self.agent.num_timesteps
        self.pulse.phase = "evaluating"
        started = time.monotonic()
        results = evaluate_policy(self.pool, self.logos, self.evaluated, self.spec, self.policy)
        summary = summarise(results)
        gain = float(summary["gain"])
        is_best = self.best_gain is None or gain > self.best_gain
        is_better_enough = self.best_gain is None or gain > self.best_gain + self.config.early_stop.min_improvement
        self._n_without_best = 0 if is_better_enough else self._n_without_best + 1
        for result in results:
            self.events.write("evaluated", step, self._evaluated_data(step, result))
        self.events.write("evaluation", step, summary | {"is_best": is_best, "seconds": round(time.monotonic() - started, 3)})
        log.info("step %d: validation gain %.3f on %d logos", step, gain, len(results))
        self._last_evaluated, self.last_gain = step, gain
        if is_best:
            self.best_gain = gain
            self._save("best")
        self.pulse.phase = "training"

    def _evaluated_data(self, step: int, result: LogoResult) -> dict[str, Any]:
        outcome, defaults, svg = result.outcome, result.logo.defaults, ""
        if self.config.evaluation.keep_svgs and result.svg:
            path = self.run.svg_file(step, result.logo.digest)
            write_aside(path, result.svg.encode())
            svg = self.run.relative(path)
        return {
            "logo": result.logo.name,
            "category": result.logo.category,
            "digest": result.logo.digest,
            "gain": result.gain,
            "ssim": outcome.ssim,
            "bytes": outcome.n_bytes,
            "paths": outcome.n_paths,
            "cpu_s": round(outcome.cpu_s, 6),
            "failure": outcome.failure,
            "ssim_default": defaults.ssim,
            "bytes_default": defaults.n_bytes,
            "paths_default": defaults.n_paths,
            "params": [round(float(v), 4) for v in result.params.values()],
            "svg": svg,
        }

    def _learn_outcomes(self) -> None:
        """Fit the outcome model and put it beside the policies that are kept."""
        config, n = self.config.outcome, self.vec_env.experience.n_written
        rows = read_experience(self.run.experience_file, n)
        if not config.members or len(rows) < MIN_CONVERSIONS:
            return
        from core.learning.agent import add_outcome_model

        self._phase(f"learning the outcomes of {len(rows)} conversions")
        experience = experience_of(rows, self.logos, self.pool)
        outcomes = fit(experience, self.config.seed, config.members, config.units, config.epochs)
        for name in ("last", "best"):
            if (self.run.checkpoints / name).is_dir():
                add_outcome_model(self.run.checkpoints / name, outcomes)

    def _save(self, name: str) -> None:
        from core.learning.agent import save_checkpoint

        trainer = {
            "curriculum": self.curriculum.dump(),
            "stages": self.stages.dump(),
            "n_episodes": self.recorder.n_episodes,
            "best_gain": self.best_gain,
            "last_gain": self.last_gain,
            "n_without_best": self._n_without_best,
            "last_evaluated": self._last_evaluated,
            "last_periodic": self._last_periodic,
        }
        is_begun = self.agent._last_obs is not None
        self.vec_env.experience.write(self.run.experience_file)
        extra = {
            "trainer": trainer,
            "environments": self.vec_env.dump() if is_begun else None,
            "n_experience": self.vec_env.experience.n_written,
            "logos_digest": self._logos_digest,
            "aside": [self.pictures[i].digest for i in sorted(self.pool.aside)],
            "param_names": list(NAMES),
        }
        save_checkpoint(self.run.checkpoints / name, self.agent, self.config, extra)
        if name != "last":
            self.events.write("checkpoint", self.agent.num_timesteps, {"name": name, "gain": self.last_gain})
            self.events.sync()

    def _prune(self) -> None:
        periodic = sorted(self.run.checkpoints.glob("step-*"))
        for folder in periodic[: -self.config.checkpoint.keep]:
            shutil.rmtree(folder, ignore_errors=True)

    def _finish(self) -> Ending:
        step = self.agent.num_timesteps
        is_update_new = self.agent._n_updates > self.recorder._updates_seen
        if is_update_new:  # learn() ends with an update that no rollout follows
            self.recorder.flush()
        self.pulse.step = step
        if self.stop:
            kept = self.run.last_checkpoint()
            return Ending(Status.STOPPED, f"{self.stop.reason}; resumes from {kept.name if kept else 'the start'}", self.last_gain)
        if self._last_evaluated < step:
            self._evaluate()
        self.stages.on_end(self.policy)
        self._save("last")
        self._learn_outcomes()
        reason = self._end_reason or ("the last stage ended" if self.curriculum.is_finished else "all steps done")
        return Ending(Status.COMPLETED, reason, self.last_gain)
