"""The user's own data sets: ``<home>/logos/<name>/`` holds the pictures and a manifest.csv with their categories and splits.

Guarantee: a folder that was not created here is never written to.
"""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from core.csv_files import write_csv
from core.errors import LogosError, NoPictureError
from core.logos.classify import classify
from core.logos.dataset import SPLITS, Logo, LogoSet, load_logos, with_both_splits, write_logos
from core.logos.procedural import CATEGORIES
from core.logos.uploads import Given, Intake, take_in
from core.names import Names
from core.staging import staging
from core.tracing.features import picture_features

_NAME = re.compile(r"[\w][\w .-]{0,59}")
_STAGING = ".adding-"
_relabelling = threading.Lock()
_READ_SIDE = 256  # longest side in pixels at which categories are found


def sets_folder(home: Path) -> Path:
    return home / "logos"


def all_sets(home: Path) -> list[Path]:
    """The folders of the user's own sets, sorted by name."""
    folder = sets_folder(home)
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")) if folder.is_dir() else []


def is_own(home: Path, path: str) -> bool:
    """Whether a set is the user's own and may be written to."""
    return Path(path).parent == sets_folder(home) and Path(path).is_dir()


def new_folder(home: Path, name: str) -> Path:
    """The folder for a new set; raises :class:`LogosError` if the name is not allowed."""
    if not _NAME.fullmatch(name):
        raise LogosError(f"a set can't be called {name!r}; use at most 60 letters, digits, spaces, dots and dashes")
    return sets_folder(home) / name


@dataclass(frozen=True)
class Added:
    """What came of adding pictures to the set in ``folder``."""

    folder: Path
    intake: Intake


def add_pictures(home: Path, name: str, files: Iterable[Given]) -> Added:
    """Add pictures, and those in zip files, to a set, creating it if needed; each gets a category and a split.

    They are read in a folder beside the sets and renamed when all are there. What is refused leaves nothing behind.

    Raises:
        LogosError: the name is not allowed, or none of the files is a picture that can be traced.
        OSError: there is no room, or the folder can't be written to.
    """
    folder = new_folder(home, name)
    before = _read_all(folder)
    with staging(sets_folder(home), _STAGING) as staged:
        taken = frozenset(path.stem for path in folder.iterdir()) if folder.is_dir() else frozenset()
        intake = take_in(files, staged, Names(taken))
        added = _usable(staged, before, intake)
        if not added and not before:
            why = intake.reasons()
            raise LogosError(f"{name} gets no usable picture" + (f" ({why})" if why else ""))
        logos = with_both_splits(sorted([*before, *added], key=lambda logo: logo.name))
        if folder.is_dir():
            for logo in added:
                os.replace(logo.source, folder / Path(logo.source).name)
            write_manifest(folder, logos)
        else:
            write_manifest(staged, logos)
            os.rename(staged, folder)
    return Added(folder, intake)


def _usable(staged: Path, before: Sequence[Logo], intake: Intake) -> list[Logo]:
    """The logos among what was staged; what is none, or is in the set already, is refused and removed."""
    try:
        found = load_logos(str(staged), _READ_SIDE, use_manifest=False, needs_both_splits=False) if intake.taken else None
    except NoPictureError as error:
        found = LogoSet(str(staged), (), error.skipped)
    if found is None:
        return []
    known = {logo.digest: logo.name for logo in before}
    why = {Path(item.source).name: item.reason for item in found.skipped}
    why |= {Path(logo.source).name: f"Same as {known[logo.digest]}, which the set has" for logo in found.logos if logo.digest in known}
    for item in [item for item in intake.taken if item.name in why]:
        (staged / item.name).unlink()
        intake.taken.remove(item)
        intake.refuse(item.given, why[item.name])
    return [logo for logo in found.logos if Path(logo.source).name not in why]


def _read_all(folder: Path) -> list[Logo]:
    """Every picture in the folder, including those that its manifest does not name yet; none where there is no such folder."""
    if not folder.is_dir():
        return []
    has_manifest = (folder / "manifest.csv").is_file()
    named: dict[str, Logo] = {}
    with suppress(NoPictureError):
        named = {logo.name: logo for logo in load_logos(str(folder), _READ_SIDE).logos} if has_manifest else {}
    try:
        found = load_logos(str(folder), _READ_SIDE, use_manifest=False)
    except NoPictureError:
        return []
    return [
        replace(logo, category=named[logo.name].category, split=named[logo.name].split) if logo.name in named else logo
        for logo in found.logos
    ]


def write_manifest(folder: Path, logos: Iterable[Logo]) -> None:
    """Record the category and split of each logo, so that neither changes when pictures are added."""
    rows = [{"name": _file_name(logo), "category": logo.category, "split": logo.split, "brand": logo.brand} for logo in logos]
    write_csv(folder / "manifest.csv", rows)


def _file_name(logo: Logo) -> str:
    """What a manifest calls it: without the number that it has here where files of several folders are called alike."""
    stem = Path(logo.source).stem
    return stem if logo.name.startswith(f"{stem}~") else logo.name


def relabel(home: Path, path: str, name: str, category: str = "", split: str = "") -> None:
    """Move a logo of the user's own set to another category or split.

    Raises:
        LogosError: the set is not the user's own, or there is no such logo, category or split.
    """
    if not is_own(home, path):
        raise LogosError(f"{path} is not a set of this console; copy it into one first")
    if (category and category not in CATEGORIES) or (split and split not in SPLITS):
        raise LogosError(f"{category or split!r} is not one of {', '.join((*CATEGORIES, *SPLITS))}")
    folder = Path(path)
    with _relabelling:  # or the second of two quick changes would write over the first
        logos = load_logos(path, 64).logos
        moved = next((logo for logo in logos if logo.name == name), None)
        if moved is None:
            raise LogosError(f"{path} has no logo {name!r}")
        if category not in ("", moved.category) and sum(_file_name(logo) == _file_name(moved) for logo in logos) > 1:
            raise LogosError(f"{path} has another file called {_file_name(moved)}, in another folder; rename one of them first")
        write_manifest(
            folder, (replace(x, category=category or x.category, split=split or x.split) if x.name == name else x for x in logos)
        )


def make_procedural(home: Path, name: str, seed: int, n_per_category: int, longest_side: int = 512) -> Path:
    """Create a set of procedural logos; raises :class:`LogosError` if a set of that name exists."""
    folder = new_folder(home, name)
    write_logos(folder, seed, n_per_category, longest_side)
    return folder


def delete(home: Path, path: str) -> None:
    if not is_own(home, path):
        raise LogosError(f"{path} is not a set of this console, so it can't be deleted")
    shutil.rmtree(path)


def why(logo: Logo) -> str:
    """Why a logo is in its category: what its features say, and whether its folder or manifest overrides them."""
    f = picture_features(logo.flat)
    by_features = classify(f)
    reasons = {
        "gradient": f"{f.soft_share:.1%} of it is smooth colour gradients",
        "text": f"it is {2.718281828**f.aspect:.1f} times as wide as it is high",
        "complex": f"it has {2**f.log_regions_3:.0f} areas of uniform colour",
        "simple": f"it has few areas ({2**f.log_regions_3:.0f}), no gradients, and is not wide",
    }
    said = f"By its features it is {by_features}: {reasons[by_features]}."
    return said if by_features == logo.category else f"Its folder or manifest says {logo.category}. {said}"
