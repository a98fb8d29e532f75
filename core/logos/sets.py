"""The user's own data sets: ``<home>/logos/<name>/`` holds the pictures and a manifest.csv with their categories and splits.

Guarantee: a folder that was not created here is never written to.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from core.csv_files import write_csv
from core.errors import LogosError
from core.logos.classify import classify
from core.logos.dataset import SPLITS, Logo, LogoSet, load_logos, write_logos
from core.logos.pictures import FORMATS
from core.logos.procedural import CATEGORIES
from core.tracing.features import picture_features

_NAME = re.compile(r"[\w][\w .-]{0,59}")
_FIELDS = ("name", "category", "split", "brand")


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


def add_pictures(home: Path, name: str, files: Iterable[tuple[str, bytes]]) -> Path:
    """Add pictures to a set, creating it if needed; each gets a category and a split. Returns the set's folder.

    Raises:
        LogosError: the name is not allowed, or none of the files is a picture that can be traced.
    """
    folder = new_folder(home, name)
    is_new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    taken = {path.stem.lower() for path in folder.iterdir()}
    for file, data in files:
        stem, ending = Path(file).stem, Path(file).suffix.lower()
        if ending not in FORMATS:
            continue
        unique, number = stem, 2
        while unique.lower() in taken:
            unique, number = f"{stem}-{number}", number + 1
        taken.add(unique.lower())
        (folder / f"{unique}{ending}").write_bytes(data)
    try:
        write_manifest(folder, _read_all(folder).logos)
    except LogosError:
        if is_new:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _read_all(folder: Path) -> LogoSet:
    """Every picture in the folder, including those that its manifest does not name yet."""
    has_manifest = (folder / "manifest.csv").is_file()
    named = {logo.name: logo for logo in load_logos(str(folder), 256).logos} if has_manifest else {}
    found = load_logos(str(folder), 256, use_manifest=False)
    logos = tuple(
        replace(logo, category=named[logo.name].category, split=named[logo.name].split) if logo.name in named else logo
        for logo in found.logos
    )
    return LogoSet(found.path, logos, found.skipped, found.notes)


def write_manifest(folder: Path, logos: Iterable[Logo]) -> None:
    """Record the category and split of each logo, so that neither changes when pictures are added."""
    rows = [{"name": logo.name, "category": logo.category, "split": logo.split, "brand": logo.brand} for logo in logos]
    write_csv(folder / "manifest.csv", rows)


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
    logos = load_logos(path, 64).logos
    if name not in {logo.name for logo in logos}:
        raise LogosError(f"{path} has no logo {name!r}")
    write_manifest(folder, (replace(x, category=category or x.category, split=split or x.split) if x.name == name else x for x in logos))


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
