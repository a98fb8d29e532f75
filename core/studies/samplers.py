"""Optuna's samplers and pruners as a study's settings name them. Imports Optuna where one is made.

Guarantee: a sampler is seeded by the study's seed and the number of trials before, so that a study that was killed and continued draws no
value twice, and the next trial follows from the trials that there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.config.config import RunConfig
from core.errors import StudyError
from core.paths import how_to_install
from core.studies.study import StudyConfig

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler


def make_sampler(config: StudyConfig, n_before: int) -> BaseSampler:
    """The sampler for the trial after ``n_before``.

    Raises:
        StudyError: it needs a package that is not there.
    """
    from optuna import samplers

    seed, startup = (config.seed * 1_000_003 + n_before) % 2**31, max(config.startup_trials, 1)
    if config.sampler == "random":
        return samplers.RandomSampler(seed=seed)
    if config.sampler == "gp":
        return samplers.GPSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
    if config.sampler == "cmaes":
        check_cmaes()
        return samplers.CmaEsSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
    return samplers.TPESampler(seed=seed, n_startup_trials=startup)


def check_cmaes() -> None:
    """Raise :class:`StudyError` where CMA-ES is asked for and not installed."""
    try:
        import cmaes  # noqa: F401
    except ImportError as error:
        hint = f"{how_to_install('search')}; or use tpe"
        raise StudyError(f"sampler: cmaes needs a package that is not installed: {hint}") from error


def make_pruner(config: StudyConfig, base: RunConfig) -> BasePruner:
    """What decides at each evaluation whether a trial goes on; its steps are num_timesteps."""
    from optuna import pruners

    run = trial_config(config, base)
    if config.pruner == "none":
        return pruners.NopPruner()
    first = max(run.evaluation.every_steps, run.rollout_steps)
    if config.pruner == "hyperband":
        most = max(run.total_timesteps, first)
        return pruners.HyperbandPruner(min_resource=first, max_resource=most, reduction_factor=config.reduction_factor)
    warmup = max(int(config.warmup_share * run.total_timesteps), 1)  # never at step 0, before anything was learned
    return pruners.MedianPruner(n_startup_trials=config.startup_trials, n_warmup_steps=warmup)


def trial_config(config: StudyConfig, base: RunConfig) -> RunConfig:
    """The base as trials run it: with the study's steps, and as many evaluations as it asks for."""
    run = base.model_copy(deep=True)
    if config.timesteps is not None:
        run.total_timesteps = config.timesteps
    run.evaluation.every_steps = max(run.total_timesteps // config.evaluations, 1)
    return run
