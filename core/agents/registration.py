"""Registering a model: from a run, a checkpoint or a model folder to a folder that needs nothing else. Needs torch for the first two.

Nothing is unpickled: weights come from safe formats. The file of stable-baselines3, which is a pickle, is written for those who trust it, and
never read.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from core.agents.loading import find_checkpoint
from core.agents.model_folder import PREPROCESS_FILE, read_folder
from core.agents.sealed import MB, read_part
from core.config.config import RunConfig
from core.errors import RunError
from core.models.facts import Facts, facts_of
from core.models.registry import EVALUATED_FILE, SB3_FILE, SHIPPED, SHIPPED_FOLDER, Entry, ModelRecord, add, checked_name, registered_folder
from core.runs.run_dir import RunDir

OnProgress = Callable[[str, int, int], None]
_N_STEPS = 4


def quiet(what: str, n_done: int, n_all: int) -> None:
    """Progress for callers that show none."""


def register(source: str, home: Path, name: str = "", note: str = "", on_progress: OnProgress = quiet) -> Entry:
    """Register a run's model (as :func:`core.agents.loading.find_checkpoint` chooses), a checkpoint folder, or a model folder.

    ``name``: what it is called, by default as its config; its version is the next of that name.

    Raises:
        RunError: there is no such model, or a name that it can't have.
        CheckpointError: the checkpoint is damaged.
    """
    if name:
        checked_name(name)
    folder = registered_folder(source, home) or Path(source)
    if (folder / PREPROCESS_FILE).is_file():
        return _register_folder(folder, home, name, note, on_progress)
    return _register_checkpoint(find_checkpoint(source, home), home, name, note, on_progress)


def _register_folder(folder: Path, home: Path, name: str, note: str, on_progress: OnProgress) -> Entry:
    on_progress("registering", 0, 1)
    found = read_folder(folder)
    config = found.config

    def fill(to: Path) -> None:
        (to / PREPROCESS_FILE).write_bytes(read_part(folder, PREPROCESS_FILE, MB))
        for file, data in found.graphs.items():
            (to / file).write_bytes(data)

    record = ModelRecord(
        name or _name_of(config),
        1,
        time.time(),
        source=SHIPPED if folder == SHIPPED_FOLDER else folder.resolve().name,
        data=config.logos.path,
        note=note,
    )
    entry = add(home, record, fill)
    on_progress("registering", 1, 1)
    return entry


def _register_checkpoint(checkpoint: Path, home: Path, name: str, note: str, on_progress: OnProgress) -> Entry:
    from core.agents.checkpoint import load_ppo
    from core.agents.onnx_export import export_model

    on_progress("reading the checkpoint", 0, _N_STEPS)
    config, agent, _ = load_ppo(checkpoint)
    run = RunDir(checkpoint.resolve().parents[1])
    is_run = run.exists() and checkpoint.resolve().parent == run.checkpoints
    on_progress("reading the log", 1, _N_STEPS)
    facts = facts_of(run, agent.num_timesteps) if is_run else Facts(data=config.logos.path)

    def fill(to: Path) -> None:
        on_progress("writing ONNX", 2, _N_STEPS)
        export_model(checkpoint, to)
        on_progress("writing for stable-baselines3", 3, _N_STEPS)
        agent.save(to / SB3_FILE)
        (to / EVALUATED_FILE).write_text(json.dumps({"logos": [asdict(each) for each in facts.logos]}), encoding="utf-8")

    record = ModelRecord(
        name or _name_of(config),
        1,
        time.time(),
        source=run.run_id if is_run else checkpoint.resolve().name,
        is_run=is_run,
        checkpoint=checkpoint.resolve().name,
        step=agent.num_timesteps,
        evaluated_step=facts.evaluated_step,
        gain=facts.gain,
        by_category=facts.by_category,
        over_single=facts.over_single,
        data=facts.data,
        data_digest=facts.data_digest,
        n_logos=facts.n_logos,
        note=note,
    )
    entry = add(home, record, fill)
    on_progress("done", _N_STEPS, _N_STEPS)
    return entry


def _name_of(config: RunConfig) -> str:
    """A config's name as a model may be called."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", config.name).strip("-._")[:60] or "model"
    try:
        return checked_name(name)
    except RunError:
        return "model"
