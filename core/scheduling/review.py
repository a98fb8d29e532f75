"""What a person chose of a batch's results, picture by picture, and the accepted SVGs as a zip with a CSV.

Kept in the batch's own folder as ``choices.json``. Guarantee: a damaged file, or one entry of it, is as if nothing had been chosen there, and
:func:`read_choices` says so; nothing outside the batch's folder is read.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.csv_files import guarded
from core.errors import DamagedFileError, RunError, SvgError
from core.files import read_json, write_aside
from core.locks import held
from core.scheduling.batch import Batch
from core.tracing.allowed import checked

BEST, DEFAULTS, CLOSER, SMALLER = "best", "defaults", "faithful", "smaller"
CHOICES = {BEST: "accept", DEFAULTS: "keep defaults", CLOSER: "closer match", SMALLER: "smaller"}
FILE, TABLE, ALTERNATIVES = "choices.json", "accepted.csv", "alternatives.json"
_PATIENCE_S = 5.0


class _Figures(BaseModel):
    """What is said of another version of a picture; what is not said is the result's."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)
    visual_gain: float | None = None
    ssim: float | None = None
    colour: float | None = None
    edge: float | None = None
    bytes: Annotated[int, Field(ge=0, le=2**53)] | None = None
    file_bytes: Annotated[int, Field(ge=0, le=2**53)] | None = None
    made_by: str | None = None


@dataclass(frozen=True)
class Choices:
    """``chosen``: {picture's SVG in the folder of results: choice}; ``problem``: why some or all of the file was ignored."""

    chosen: dict[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True)
class Version:
    """One SVG that a picture could become, with the figures that differ from the row's."""

    choice: str
    path: Path
    figures: Mapping[str, Any]

    def read(self) -> bytes:
        """The SVG, as it may be handed out.

        Raises:
            SvgError: it holds more than a tracer draws.
            OSError: it is gone.
        """
        return checked(self.path.read_bytes())


@dataclass(frozen=True)
class Item:
    """A picture of a batch. ``name``: of its SVG in the folder of results; ``row``: as ``optimize --json`` tells."""

    name: str
    picture: str
    row: Mapping[str, Any]
    versions: Mapping[str, Version]
    choice: str = ""

    @property
    def shown(self) -> Version:
        """What was chosen; the result where nothing was."""
        return self.versions.get(self.choice) or self.versions[BEST]

    def figure(self, name: str) -> Any:
        return self.shown.figures.get(name, self.row.get(name))


def read_choices(batch: Batch) -> Choices:
    """What was chosen so far."""
    try:
        raw = read_json(batch.path / FILE)
    except DamagedFileError as error:
        return Choices(problem=f"{error}; choose again")
    found = raw.get("choices") if raw is not None else {}
    if not isinstance(found, dict):
        return Choices(problem=f"{FILE}: choices is not an object; choose again")
    good = {name: choice for name, choice in found.items() if isinstance(choice, str) and choice in CHOICES}
    n_bad = len(found) - len(good)
    return Choices(good, f"{FILE}: {n_bad} choice{'s' if n_bad > 1 else ''} can't be read; choose again" if n_bad else "")


def choose(batch: Batch, chosen: Mapping[str, str]) -> Choices:
    """Keep choices of pictures, by the names of their SVGs; "" takes one back.

    Raises:
        RunError: there is no such picture, or no such version of it.
    """
    known = {item.name: item for item in items(batch)}
    for name, choice in chosen.items():
        if name not in known:
            raise RunError(f"{batch.batch_id} has no picture {name!r}; it has {', '.join(sorted(known)[:8]) or 'none'}")
        if choice and choice not in CHOICES:
            raise RunError(f"{choice!r} is not one of {', '.join(CHOICES)}")
        if choice and choice not in known[name].versions:
            raise RunError(f"there is no other SVG of {name!r} that is {CHOICES[choice]!r}; the result is that already")
    busy = RunError(f"the choices of {batch.batch_id} are being written by another process; try again")
    with held(batch.path / f"{FILE}.lock", busy, _PATIENCE_S):
        kept = {name: choice for name, choice in (read_choices(batch).chosen | dict(chosen)).items() if choice}
        write_aside(batch.path / FILE, json.dumps({"v": 1, "choices": kept}).encode(), batch.path)
    return Choices(kept)


def items(batch: Batch) -> list[Item]:
    """Every picture of a batch that is done, in its order; one whose SVG is gone is left out."""
    result = batch.result()
    if result is None:
        return []
    chosen, others = read_choices(batch).chosen, _alternatives(batch)
    found = []
    for row in result["results"]:
        name = _name_of(batch, row["svg"])
        path = batch.out / name
        if not path.is_file() or path.is_symlink():
            continue
        versions = {BEST: Version(BEST, path, {})}
        for choice, figures in others.get(name, {}).items():
            beside = batch.alternatives / choice / name
            if choice in CHOICES and beside.is_file():
                with suppress(ValidationError):  # damaged: the picture is there without it
                    versions[choice] = Version(choice, beside, _Figures.model_validate(figures).model_dump(exclude_none=True))
        if row["is_default"]:
            versions[DEFAULTS] = Version(DEFAULTS, path, {})
        found.append(Item(name, Path(row["file"]).name, row, versions, chosen.get(name, "")))
    return found


def archive(batch: Batch, only_accepted: bool = True) -> bytes:
    """A zip of the chosen SVGs, or of all results, with a CSV of what they are; no path of this machine is in it."""
    kept = [item for item in items(batch) if item.choice or not only_accepted]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        left_out = []
        for item in kept:
            try:
                made.writestr(item.name, (item.shown if only_accepted else item.versions[BEST]).read())
            except (SvgError, OSError) as error:
                left_out.append(f"{item.name}: {error}")
        if left_out:
            made.writestr("left out.txt", "\n".join(left_out) + "\n")
        made.writestr(TABLE if only_accepted else "optimized.csv", table(kept, only_accepted))
    return buffer.getvalue()


def table(kept: Sequence[Item], only_accepted: bool = True) -> str:
    """One row per picture, as CSV: names, the choice, and the figures of what is taken."""
    rows = []
    for item in kept:
        row = {"picture": item.picture, "svg": item.name} | ({"choice": item.choice} if only_accepted else {})
        taken = item.shown.figures if only_accepted else {}
        rows.append(row | {key: taken.get(key, value) for key, value in item.row.items() if key not in ("file", "svg")})
    text = io.StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows({key: guarded(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _name_of(batch: Batch, svg: str) -> str:
    """Its place in the folder of results, wherever that was when it was written; never outside it."""
    parts = Path(svg).parts
    if batch.batch_id in parts:
        inside = parts[len(parts) - parts[::-1].index(batch.batch_id) :][1:]
        if inside and ".." not in inside:
            return Path(*inside).as_posix()
    return Path(svg).name


def _alternatives(batch: Batch) -> dict[str, dict[str, Any]]:
    """{SVG's name: {choice: figures}}; nothing where the list is missing or damaged, as in batches of before."""
    try:
        raw = read_json(batch.alternatives / ALTERNATIVES)
    except DamagedFileError:
        return {}
    found = raw.get("pictures") if raw is not None else None
    return {name: row for name, row in found.items() if isinstance(row, dict)} if isinstance(found, dict) else {}
