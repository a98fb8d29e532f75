"""Data sets of the user's own: ``<home>/logos/<name>/`` with the pictures and a manifest.csv that names category and split.

Guarantee: a folder that was not made here is never written to.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from core.errors import LogosError
from core.files import write_csv
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
    """The folders of the user's own sets, by name."""
    folder = sets_folder(home)
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")) if folder.is_dir() else []


def is_own(home: Path, path: str) -> bool:
    """Whether a set may be written to."""
    return Path(path).parent == sets_folder(home) and Path(path).is_dir()


def new_folder(home: Path, name: str) -> Path:
    """The folder of a set that is to be made; raises :class:`LogosError` for a name that can't be."""
    if not _NAME.fullmatch(name):
        raise LogosError(f"a set can't be called {name!r}: letters, digits, spaces, dots and dashes, at most 60")
    return sets_folder(home) / name


def add_pictures(home: Path, name: str, files: Iterable[tuple[str, bytes]]) -> Path:
    """Put pictures into a set, made where it is not there yet; each gets a category and a split. Returns its folder.

    Raises:
        LogosError: a name that can't be, or no picture among the files that can be traced.
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
    """Every picture of the folder, those that its manifest does not name yet too."""
    has_manifest = (folder / "manifest.csv").is_file()
    named = {logo.name: logo for logo in load_logos(str(folder), 256).logos} if has_manifest else {}
    found = load_logos(str(folder), 256, use_manifest=False)
    logos = tuple(
        replace(logo, category=named[logo.name].category, split=named[logo.name].split) if logo.name in named else logo
        for logo in found.logos
    )
    return LogoSet(found.path, logos, found.skipped)


def write_manifest(folder: Path, logos: Iterable[Logo]) -> None:
    """Name category and split of each logo, so that neither changes with what is added."""
    rows = [{"name": logo.name, "category": logo.category, "split": logo.split, "brand": logo.brand} for logo in logos]
    write_csv(folder / "manifest.csv", rows)


def relabel(home: Path, path: str, name: str, category: str = "", split: str = "") -> None:
    """Put a logo of an own set into another category or split.

    Raises:
        LogosError: not an own set, no such logo, category or split.
    """
    if not is_own(home, path):
        raise LogosError(f"{path} is not a set of this console's; copy it into one first")
    if (category and category not in CATEGORIES) or (split and split not in SPLITS):
        raise LogosError(f"{category or split!r} is none of {', '.join((*CATEGORIES, *SPLITS))}")
    folder = Path(path)
    logos = load_logos(path, 64).logos
    if name not in {logo.name for logo in logos}:
        raise LogosError(f"{path} has no logo {name!r}")
    write_manifest(folder, (replace(x, category=category or x.category, split=split or x.split) if x.name == name else x for x in logos))


def make_procedural(home: Path, name: str, seed: int, n_per_category: int, longest_side: int = 512) -> Path:
    """A set of procedural logos; raises :class:`LogosError` where one of that name is there."""
    folder = new_folder(home, name)
    write_logos(folder, seed, n_per_category, longest_side)
    return folder


def delete(home: Path, path: str) -> None:
    if not is_own(home, path):
        raise LogosError(f"{path} is not a set of this console's; it is not deleted")
    shutil.rmtree(path)


def why(logo: Logo) -> str:
    """Why a logo is in its category: what its features say, and whether somebody said otherwise."""
    f = picture_features(logo.pixels)
    by_features = classify(f)
    reasons = {
        "gradient": f"{f.soft_share:.1%} of it are smooth slopes of colour",
        "text": f"it is {2.718281828**f.aspect:.1f} times as wide as high",
        "complex": f"it has {2**f.log_regions_3:.0f} areas of one colour",
        "simple": f"it has few areas ({2**f.log_regions_3:.0f}), no slopes, and is not wide",
    }
    said = f"By its features it is {by_features}: {reasons[by_features]}."
    return said if by_features == logo.category else f"Its folder or manifest says {logo.category}. {said}"
