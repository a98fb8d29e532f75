"""From a config to what it describes: the environment, its reward and the pipeline."""

from __future__ import annotations

from core.config.config import RunConfig
from core.environment.episode import EnvSpec
from core.tracing.outcome import TERM_NAMES, TERMS, Weights
from core.tracing.params import Params
from core.tracing.pipeline import PLAIN, Pipeline


def env_spec(config: RunConfig) -> EnvSpec:
    """The environment that a config describes."""
    r = config.reward
    centre = Params(**config.env.centre).clamped() if config.env.centre else None  # type: ignore[arg-type]
    return EnvSpec(config.env.max_steps, centre, Weights(**{name: getattr(r, name) for name in TERM_NAMES}), tuple(config.env.fixed))


def reward_formula(config: RunConfig) -> str:
    """The reward in words, without the terms that count nothing."""
    weights = ((term.formula, getattr(config.reward, term.name)) for term in TERMS)
    return " + ".join(f"{weight:g} x {formula}" for formula, weight in weights if weight)


def pipeline_of(config: RunConfig, work_size: int = 0) -> Pipeline:
    """The steps around VTracer in a run's conversions. ``work_size``: longest side in pixels of larger pictures than the run's, which are
    enlarged as many times as those."""
    p = config.pipeline
    is_plain = not (p.trace_size or p.sharpen or p.fills)
    trace_size = round(p.trace_size * max(work_size / config.logos.work_size, 1.0))
    return Pipeline(p.engine, trace_size, p.sharpen, p.fills, PLAIN.optimize if is_plain else Pipeline().optimize)
