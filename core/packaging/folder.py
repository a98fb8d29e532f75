"""A model as a folder to take away: the graphs, what they need beside, a card, and a runner that needs nothing of ours.

Imports no torch: what needs it was written when the model was registered. Guarantee: every file is whole or not there, and the folder is still a
model folder, which ``--model FOLDER`` takes.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from core.agents.model_folder import PREPROCESS_FILE, read_folder
from core.environment.spec import env_spec, pipeline_of
from core.errors import RunError
from core.files import write_aside
from core.models.registry import SB3_FILE, Entry
from core.packaging.bundle import PACKAGES, bundle
from core.packaging.card import About, card, hugging_face
from core.packaging.stand_ins import engine
from core.paths import licence

OnProgress = Callable[[str, int, int], None]
CARD_FILE, README_FILE, RUNNER_FILE, RANGES_FILE, REQUIREMENTS_FILE = (
    "model_card.md",
    "README.md",
    "runner.py",
    "parameters.json",
    "requirements.txt",
)


def files_of(entry: Entry) -> dict[str, bytes]:
    """The files of the folder by their names.

    Raises:
        RunError: the model is damaged.
    """
    if entry.problem and not entry.is_shipped:
        raise RunError(entry.problem)
    model = read_folder(entry.path)
    told, spec = dict(model.told), env_spec(model.config)
    told["runner"] = {
        "max_steps": spec.max_steps,
        "weights": spec.weights.as_dict(),
        "fixed": list(spec.fixed),
        "pipeline": asdict(pipeline_of(model.config)),
        "work_size": model.config.logos.work_size,
    }
    found = dict(model.graphs)
    has_sb3 = (entry.path / SB3_FILE).is_file()
    if has_sb3:
        found[SB3_FILE] = (entry.path / SB3_FILE).read_bytes()
    about = About(entry, model.config, told.get("versions", {}), has_sb3)
    text = card(about).replace("{n_observation}", str(told["n_observation"]))
    found |= {
        PREPROCESS_FILE: _json(told),
        RANGES_FILE: _json({"parameters": told["parameters"], "centre": told["centre"]}),
        CARD_FILE: text.encode(),
        README_FILE: hugging_face(about, text).encode(),
        RUNNER_FILE: bundle().encode(),
        REQUIREMENTS_FILE: "".join(f"{name}=={metadata.version(name)}\n" for name in PACKAGES).encode(),
    }
    return found | _thorvg() | _licences()


def _json(data: Any) -> bytes:
    return (json.dumps(data, indent=1) + "\n").encode()


def _licences() -> dict[str, bytes]:
    """Ours, and ThorVG's, which is the same with another holder."""
    ours = licence()
    theirs = re.sub(r"^Copyright .*$", "Copyright (c) 2020 - 2025 ThorVG Project", ours, count=1, flags=re.MULTILINE)
    return {"LICENSE": ours.encode(), "LICENSE.thorvg": theirs.encode()}


def _thorvg() -> dict[str, bytes]:
    """ThorVG's library for this platform; nothing where the package is not installed."""
    library = engine.THORVG_LIB
    return {} if library is None else {Path(library._name).name: Path(library._name).read_bytes()}


def export(entry: Entry, out: Path, on_progress: OnProgress) -> list[Path]:
    """Write the folder; files of the same names are replaced, others stay.

    Raises:
        RunError: the model is damaged.
    """
    on_progress("assembling the model", 0, 1)
    files = files_of(entry)
    for number, (name, data) in enumerate(files.items()):
        on_progress(f"writing {out}", number, len(files))
        write_aside(out / name, data)
    on_progress(f"writing {out}", len(files), len(files))
    return [out / name for name in files]


def as_zip(entry: Entry) -> bytes:
    """The folder as a zip archive, below a folder of the model's name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files_of(entry).items():
            archive.writestr(f"{entry.model_id}/{name}", data)
    return buffer.getvalue()
