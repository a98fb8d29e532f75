"""Runs of one config as a group: the same settings but for the seed, the name and the note, trained on the same logos.

A fork is of the same group only as forks of the same checkpoint are. Guarantee: runs whose config can't be read are named, with why, and
hold no other up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.config.config import RunConfig
from core.config.fields import flat
from core.errors import ConfigError
from core.runs.records import peek_config, read_label, read_parent
from core.runs.run_dir import RunDir

OWN = ("name", "note", "seed")  # settings that runs of a group may differ in
FEW_SEEDS = 3  # of fewer an interval says little
_MAX_SETTINGS = 3  # that tell a group from the others
_TRIMMED = " ·-–_,.:;#("


@dataclass(frozen=True)
class SeedGroup:
    """``runs``: ids, by seed. ``label``: what tells it from the other groups that it was made with."""

    label: str
    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    config: RunConfig
    digest: str = ""  # of the logos

    @property
    def warning(self) -> str:
        """What is to be known before its figures are believed; empty where nothing is."""
        if len(set(self.seeds)) < len(self.seeds):
            return "a seed occurs twice; repeating the same run adds nothing to the spread"
        if len(self.runs) == 1:
            return "a single seed has no interval"
        return f"{len(self.runs)} seeds: too few for an interval to be trusted" if len(self.runs) < FEW_SEEDS else ""


def settings_of(config: RunConfig) -> dict[str, Any]:
    """{dotted setting: value} of all that runs of a group have in common."""
    return {name: value for name, value in flat(config).items() if name not in OWN}


def _key(run: RunDir, config: RunConfig, digest: str) -> str:
    parent = read_parent(run)
    origin = [parent.run_id, parent.checkpoint, parent.step] if parent else None
    return json.dumps([settings_of(config), origin, digest], sort_keys=True, default=str)


def group_runs(runs: Iterable[RunDir], digests: Mapping[str, str] | None = None) -> tuple[list[SeedGroup], dict[str, str]]:
    """(the groups, in the order of their first runs; {run id: why it is in none}).

    ``digests``: {run id: digest of its logos}: what trained on other pictures under the same path is another group.
    """
    members: dict[str, list[tuple[RunDir, RunConfig]]] = {}
    left_out: dict[str, str] = {}
    known = digests or {}
    for run in runs:
        try:
            config = peek_config(run)
        except ConfigError as error:
            left_out[run.run_id] = str(error).splitlines()[0]
            continue
        members.setdefault(_key(run, config, known.get(run.run_id, "")), []).append((run, config))
    labels = _labels(list(members.values()))
    groups = []
    for label, found in zip(labels, members.values(), strict=True):
        found.sort(key=lambda pair: (pair[1].seed, pair[0].run_id))
        ids, seeds = tuple(run.run_id for run, _ in found), tuple(config.seed for _, config in found)
        groups.append(SeedGroup(label, ids, seeds, found[0][1], known.get(ids[0], "")))
    return groups, left_out


def _labels(groups: Sequence[list[tuple[RunDir, RunConfig]]]) -> list[str]:
    """A label per group: what its runs' names have in common; where two groups share that, what differs in their settings beside it."""
    names = [common_name([read_label(run).get("name") or config.name or run.run_id for run, config in group]) for group in groups]
    found = list(names)
    for name in {name for name in names if names.count(name) > 1}:
        alike = [i for i, other in enumerate(names) if other == name]
        settings = [settings_of(groups[i][0][1]) for i in alike]
        differing = [key for key in settings[0] if len({json.dumps(each.get(key), default=str) for each in settings}) > 1]
        for i, each in zip(alike, settings, strict=True):
            told = ", ".join(f"{key.rpartition('.')[2]} {_short(each.get(key))}" for key in differing[:_MAX_SETTINGS])
            found[i] = f"{name} · {told}" if told else name
    for i, name in enumerate(found):
        if found.count(name) > 1:
            found[i] = f"{name} · {groups[i][0][0].run_id}"
    return found


def common_name(names: Sequence[str]) -> str:
    """What names have in common at their start, without the number of a seed."""
    if len(set(names)) == 1:
        return names[0]
    n_common = next((i for i, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), min(map(len, names)))
    start = names[0][:n_common].rstrip(_TRIMMED + "0123456789")
    start = start.removesuffix("seed").rstrip(_TRIMMED)
    return start if len(start) >= 2 else names[0]


def _short(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 24 else f"{text[:23]}…"
