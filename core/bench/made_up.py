"""Made-up events for benchmarks: rows of the types that a training writes, filled by their fields' types."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any, TypeVar

from core.config.config import RecoveryConfig, RunConfig
from core.config.text import to_yaml
from core.runs.event_fields import Column, columns_of
from core.runs.event_types import AttemptStarted, Ended, EpisodeEnded, EvaluationEnded, Record
from core.runs.events import Event, line_of
from core.runs.run_dir import CONFIG_FILE, EVENTS_FILE, RunDir

_BEGAN_TS = 1.7e9  # of the first made-up run
_SEEDS = 5  # runs of each made-up config
_NOTED = 7  # every so many runs have a name of their own, with a note and tags

T = TypeVar("T", bound=Record)


def made_up(record: type[T], rng: random.Random, **known: Any) -> T:
    """A record with random values for every field that is not ``known``; of a kind without a table, only for those without a default."""
    wanted = [column for column in columns_of(record) if column.is_required or record.table]
    return record(**{column.name: _value(column, rng) for column in wanted if column.name not in known}, **known)


def _value(column: Column, rng: random.Random) -> Any:
    if column.shape == "terms":
        return {name: rng.random() for name in column.columns}
    if column.shape == "params":
        return [round(rng.random() * 100, 4) for _ in column.columns]
    return {
        "BIGINT": rng.randrange(20_000),
        "DOUBLE": rng.random(),
        "BOOLEAN": rng.random() < 0.3,
        "VARCHAR": column.name,
        "JSON": {},
    }[column.sql]


def finished_runs(home: Path, n_runs: int, n_episodes: int = 4) -> list[RunDir]:
    """Folders of runs that ended, each with a config and a short log: seeds of many configs, some with a name, a note and tags."""
    rng = random.Random(0)
    text = to_yaml(RunConfig(name="many", recovery=RecoveryConfig(enabled=False)))
    episodes = [made_up(EpisodeEnded, rng, episode=n, logo=f"logo{n}", stage="all") for n in range(1, n_episodes + 1)]
    found = []
    for n in range(n_runs):
        run = RunDir(home / f"{20200101 + n // 2000}-{n % 2000:06d}-many-{n:05d}")
        run.path.mkdir(parents=True)
        settings = {"name": f"many {n // _SEEDS}", "seed": n % _SEEDS, "note": f"of {n // _SEEDS}", "total_timesteps": 1000 + n // _SEEDS}
        own = "".join(f"{key}: {value}\n" for key, value in settings.items())
        kept = [line for line in text.splitlines(keepends=True) if line.split(":")[0] not in settings]
        (run.path / CONFIG_FILE).write_text(own + "".join(kept))
        if n % _NOTED == 0:
            label = {"v": 1, "name": f"kept {n}", "note": "looked at", "tags": [f"tag{n % 3}"]}
            run.label_file.write_text(json.dumps(label))
        _write_log(run, _BEGAN_TS + 1000 * n, episodes, rng.random() / 2)
        found.append(run)
    return found


def _write_log(run: RunDir, began_ts: float, episodes: list[EpisodeEnded], gain: float) -> None:
    told: list[tuple[int, Record]] = [(0, AttemptStarted(0, len(episodes)))]
    told += [(episode.episode, episode) for episode in episodes]
    told += [
        (len(episodes), EvaluationEnded(gain=gain, gain_low=gain - 0.1, gain_high=gain + 0.1, n_logos=4, is_best=True)),
        (len(episodes), Ended("COMPLETED", "all steps done", gain, gain)),
    ]
    lines = [line_of(Event(seq, 1, began_ts + seq, step, record)) for seq, (step, record) in enumerate(told, start=1)]
    (run.path / EVENTS_FILE).write_bytes(b"".join(lines))
