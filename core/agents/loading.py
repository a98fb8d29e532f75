"""Finding and loading a trained agent by name: the default, a registered model, a model or checkpoint folder, or a run.

Nothing is unpickled: weights come from safe formats, and their checksums are checked first. torch is imported only where a checkpoint is loaded.
"""

from __future__ import annotations

from pathlib import Path

from core.agents.model import Model
from core.errors import RunError
from core.models.registry import DEFAULT, default_folder, registered_folder
from core.runs.event_types import Ended
from core.runs.events import read_backwards
from core.runs.run_dir import CHECKSUMS_FILE, find_run
from core.runs.status import Status

DEFAULT_MODEL = DEFAULT  # what the promoted model is called, and where none is the one that ships
SCATTER = 0.02  # of the validation gain from one evaluation to the next


def load_model(name: str, home: Path) -> Model:
    """``name``: "default" for the promoted model, else the one that ships; a registered model's id, a model or checkpoint folder, or a run
    (see :func:`find_checkpoint`).

    Raises:
        RunError: none of them is there.
        CheckpointError: it is damaged.
    """
    folder = default_folder(home) if name == DEFAULT_MODEL else registered_folder(name, home) or Path(name)
    if (folder / "preprocess.json").is_file():
        from core.agents.onnx_model import read_model

        return read_model(folder)
    from core.agents.checkpoint import load_agent

    return load_agent(find_checkpoint(name, home))


def find_checkpoint(model: str, home: Path) -> Path:
    """A checkpoint folder as it is, or a run's: its last where it ended near its best, else its best.

    One evaluation scatters by more than what most "bests" are better by, and a learning rate that has come down leaves
    the steadier policy: among near equals the last one holds on other logos what it promised.

    Raises:
        RunError: neither is there.
    """
    folder = Path(model)
    if (folder / CHECKSUMS_FILE).is_file():
        return folder
    run = find_run(model, home)
    found = run.best_checkpoint()
    ended = next(read_backwards(run.events_file), None)
    if ended is not None and isinstance(ended.data, Ended) and ended.data.status == Status.COMPLETED:
        gain, best = ended.data.gain, ended.data.best_gain
        if gain is not None and best is not None and gain >= best - SCATTER:
            found = run.last_checkpoint() or found
    if found is None:
        raise RunError(f"{run.run_id} has no checkpoint yet")
    return found
