"""A run's pictures and the workers that convert them: loaded, multiplied, prepared, and shown to the Gallery."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from core.config.config import RunConfig
from core.environment.episode import EnvSpec
from core.environment.preparation import Preparations
from core.environment.spec import pipeline_of
from core.errors import LogosError, SvgError
from core.evaluation.evaluate import spread_over_categories
from core.logos.augment import variants
from core.logos.dataset import BUILTIN, Logo, LogoSet, Shares, load_logos
from core.paths import program, runs_home, trace_cache_file
from core.runs.event_types import LogosLoaded, PhaseStarted, WarningGiven, WorkerLost
from core.runs.events import EventWriter
from core.runs.run_dir import RunDir
from core.tracing.allowed import checked
from core.tracing.cache import TraceCache
from core.tracing.outcome import TERMS
from core.tracing.picture import encode_png
from core.training.disk_guard import DiskGuard
from core.training.heartbeat import HeartbeatWriter
from core.workers.backend import open_pool
from core.workers.picture_store import PictureStore
from core.workers.pool import REFUSED, Loss, WorkerPool

log = logging.getLogger("tracewright")


def load_set(config: RunConfig) -> LogoSet:
    """The logos that a config names."""
    c = config.logos
    return load_logos(c.path, c.work_size, Shares(c.validation_share, c.test_share), c.builtin_seed, c.n_per_category)


def training_logos(config: RunConfig, train: list[Logo], on_phase: Callable[[str], None] = lambda text: None) -> list[Logo]:
    """What a run learns from: the training logos of its set, built-in ones as configured, and variants of all."""
    c = config.logos
    if c.add_builtin and c.path != BUILTIN:
        known = {logo.digest for logo in train}
        made = load_logos(BUILTIN, c.work_size, Shares(c.validation_share, c.test_share), c.builtin_seed, c.add_builtin)
        train = [*train, *(logo for logo in made.of_split("train") if logo.digest not in known)]
    if not c.variants:
        return train
    on_phase(f"making {c.variants} variants of {len(train)} logos")
    return [*train, *variants(train, c.variants, config.seed)]


class DataLoader:
    """``pictures``: the first ``n_train`` are trained on, those at the places ``evaluated`` are for evaluations."""

    def __init__(
        self, run: RunDir, config: RunConfig, spec: EnvSpec, events: EventWriter, heartbeat: HeartbeatWriter, disk_guard: DiskGuard
    ) -> None:
        self._run, self._config, self._spec, self._events, self._heartbeat, self._disk_guard = (
            run,
            config,
            spec,
            events,
            heartbeat,
            disk_guard,
        )
        self.pictures: list[Logo] = []
        self.evaluated: list[int] = []
        self.n_train = 0
        self.digest = ""
        self.logos: Preparations
        self.pool: WorkerPool

    def open(self, digest: str = "", quarantined: list[str] | None = None) -> None:
        """Load the logos and start the workers.

        ``digest``: what the digest of the logos must be, in a resumed run; ``quarantined``: digests of pictures that are left out.

        Raises:
            LogosError: they can't be read, differ, or none is left to train on or to evaluate.
        """
        found = self._load(digest)
        self._choose(found)
        self.phase(f"preparing {len(self.evaluated)} of {len(self.pictures)} logos")
        self.logos = Preparations(self.pictures, self.evaluated)
        # A CPU time of another hour does not compare with one of now: with a speed weight, nothing old is used.
        cache = TraceCache(
            None
            if any(weight for term, weight in zip(TERMS, self._spec.weights.values, strict=True) if term.is_timed)
            else trace_cache_file(runs_home())
        )
        store = PictureStore.create(self.pictures, pipeline_of(self._config))
        self.pool = open_pool(self._config.workers, store, self._config.n_workers, cache, self._on_loss)
        try:
            for i in (i for i, logo in enumerate(self.pictures) if logo.digest in (quarantined or [])):
                self.pool.quarantine(i)
            self.evaluated = self.logos.prepare(self.pool, [i for i in self.evaluated if i not in self.pool.quarantined])
            if not self.evaluated:
                raise LogosError("none of the validation logos can be traced; see the log")
            self._keep_pictures()
        except BaseException:
            self.pool.close()
            raise

    def phase(self, text: str) -> None:
        """Show what the trainer is doing before its first step."""
        self._heartbeat.phase = text
        self._events.write(self._heartbeat.step, PhaseStarted(text))
        log.info("%s", text)

    def quarantined(self) -> list[str]:
        """Digests of the pictures that were quarantined."""
        return [self.pictures[i].digest for i in sorted(self.pool.quarantined)]

    def _load(self, digest: str) -> LogoSet:
        self.phase("loading logos")
        found = load_set(self._config)
        if digest not in ("", found.digest()):
            raise LogosError(
                f"the logos in {self._config.logos.path} differ from those this run was trained on; restore them or start a new run"
            )
        skipped = [{"source": s.source, "reason": s.reason} for s in found.skipped]
        for item in skipped:
            log.warning("skipped %s: %s", item["source"], item["reason"])
        for note in found.notes:
            log.warning("%s", note)
            self._events.write(self._heartbeat.step, WarningGiven(note))
        self.digest = found.digest()
        self._events.write(
            self._heartbeat.step, LogosLoaded(self._config.logos.path, found.counts(), skipped, self.digest, len(found.logos))
        )
        return found

    def _choose(self, found: LogoSet) -> None:
        """Train logos first, then the validation logos of each evaluation."""
        limit = self._config.evaluation.max_logos
        train, validation = found.of_split("train"), found.of_split("validation")
        if not train:
            raise LogosError(f"{self._config.logos.path} leaves no logo to train on: it contains {len(found.logos)}; add pictures")
        places = spread_over_categories(validation, range(len(validation)), limit)
        train = training_logos(self._config, train, self.phase)
        self.pictures = [*train, *(validation[i] for i in places)]
        self.n_train = len(train)
        self.evaluated = list(range(self.n_train, len(self.pictures))) or list(range(min(self.n_train, limit)))
        if not validation:
            text = "no validation logos: evaluations use the training logos and do not show generalisation"
            self._events.write(self._heartbeat.step, WarningGiven(text))

    def _keep_pictures(self) -> None:
        """Keep what the Gallery shows next to the agent's SVGs: each validation logo and its SVG under the defaults."""
        for i in self.evaluated:
            logo = self.logos[i]
            if not self._run.default_svg_file(logo.digest).exists():
                self._disk_guard.write(self._run.picture_file(logo.digest), encode_png(self.pictures[i].pixels))
                try:
                    self._disk_guard.write(self._run.default_svg_file(logo.digest), checked(logo.default_svg) if logo.default_svg else b"")
                except SvgError as error:
                    self._events.write(self._heartbeat.step, WarningGiven(f"{logo.name}: {error}"))

    def _on_loss(self, loss: Loss) -> None:
        """Log that a worker was replaced, and how to reproduce the case; of nodes the pool has logged it."""
        if loss.failure == REFUSED:
            self._events.write(self._heartbeat.step, WarningGiven(loss.reason))
            return
        lost = WorkerLost(loss.worker, loss.failure, loss.reason)
        repeat = ""
        if loss.job is not None:
            logo = self.pictures[loss.job.index]
            path = self._run.case_file(logo.digest)
            if not path.exists():
                self._disk_guard.write(path, encode_png(logo.pixels))
            values = ",".join(f"{float(v):.10g}" for v in loss.job.params.values())
            size = 0 if loss.job.params.is_plain else self.pool.store.pipeline.trace_size
            repeat = f"{program()} logos trace {path} --params {values} --trace-size {size}"
            lost = replace(
                lost, logo=logo.name, digest=logo.digest, params=loss.job.params.as_dict(), is_quarantined=loss.is_quarantined,
                case=self._run.relative(path),
            )  # fmt: skip
        if not loss.is_node:
            log.warning("%s was replaced (%s: %s)%s", loss.worker, loss.failure, loss.reason, f"; to reproduce: {repeat}" if repeat else "")
        self._events.write(self._heartbeat.step, lost)
        if loss.is_quarantined and loss.job is not None:
            text = f"{self.pictures[loss.job.index].name} is quarantined: it killed {self._config.workers.max_losses} workers"
            log.warning("%s", text)
            self._events.write(self._heartbeat.step, WarningGiven(text))
