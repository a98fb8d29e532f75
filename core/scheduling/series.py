"""A series of runs: one config under several values of a setting, with several seeds each, as ordinary runs of the queue.

Guarantee: what is there already is not trained again. A run of the same settings and seed is taken as it is, gone on with where it was
stopped or died, and made only where there is none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from core.config.config import RunConfig
from core.config.text import changed
from core.errors import ConfigError
from core.runs.records import peek_config, read_parent
from core.runs.run_dir import RunDir, all_runs
from core.runs.seed_groups import settings_of
from core.runs.status import run_state
from core.scheduling import queue

LR_SETTING = "ppo.lr_schedule"
LR_SCHEDULES = f"{LR_SETTING}=constant,linear,cosine"
MAX_RUNS = 200


def series_configs(config: RunConfig, vary: str, seeds: str) -> list[RunConfig]:
    """The configs of a series, all seeds of a value together. ``vary``: "a.b=x,y"; ``seeds``: whole numbers with commas between.

    Raises:
        ConfigError: a setting, value or seed that is not allowed, or more than ``MAX_RUNS`` runs.
    """
    name, _, values = vary.partition("=")
    options = list(dict.fromkeys(value.strip() for value in values.split(",") if value.strip()))
    if not name or not options:
        raise ConfigError(f"--vary {vary!r} is not a setting with its values, for example {LR_SCHEDULES}")
    try:
        numbers = list(dict.fromkeys(int(seed) for seed in seeds.split(",")))
    except ValueError:
        raise ConfigError(f"--seeds {seeds!r} are not comma-separated whole numbers, for example 1,2,3") from None
    if len(options) * len(numbers) > MAX_RUNS:
        raise ConfigError(
            f"{len(options)} values with {len(numbers)} seeds each are {len(options) * len(numbers)} runs; at most {MAX_RUNS}"
        )
    setting, found = name.rpartition(".")[2], []
    for value in options:
        for seed in numbers:
            one = changed(config, [f"{name}={value}", f"seed={seed}"])
            tail = f" · {value if name == LR_SETTING else f'{setting} {value}'} · seed {seed}"
            one.name = f"{config.name[: 80 - len(tail)]}{tail}"[:80]
            found.append(one)
    return found


def submit_missing(home: Path, configs: Sequence[RunConfig], priority: int = 0) -> list[RunDir]:
    """The run of each config, in order; queued where there was none, or where it was stopped or died."""
    there: dict[str, RunDir] = {}
    for run in all_runs(home):
        try:
            if read_parent(run) is None:
                there[_key(peek_config(run))] = run  # the newest
        except ConfigError:
            continue
    found = []
    for config in configs:
        run = there.get(_key(config)) or queue.submit(home, config, priority)
        if run_state(run).status.can_resume:
            queue.resume(run, priority=priority)
        found.append(run)
    return found


def _key(config: RunConfig) -> str:
    return json.dumps([settings_of(config), config.seed], sort_keys=True, default=str)
