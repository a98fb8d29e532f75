"""Data sets of logos: loads, checks and splits a user's folder or the built-in set.

Independent of training. Guarantees: a broken file never affects the others, and is listed with the reason; no picture,
nor a copy of it under another name, is in two splits.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.csv_files import write_csv
from core.errors import LogosError, NoPictureError, PictureError
from core.files import inside
from core.logos.classify import classify
from core.logos.intake import Decoders
from core.logos.manifest import read_manifest
from core.logos.pictures import FORMATS, Found, decode_picture
from core.logos.procedural import CATEGORIES, MadeLogo, make_logos
from core.names import printable
from core.tracing.features import picture_features
from core.tracing.picture import encode_png, fit
from core.tracing.raster import ground_of, over

BUILTIN = "builtin"
SPLITS = ("train", "validation", "test")
MAX_LOGOS = 20_000
IGNORED = {"manifest.csv", "readme.md", "readme.txt", "licence", "license", "licence.md", "license.md"}


@dataclass(frozen=True)
class Logo:
    """One logo at work size. ``pixels``: uint8 RGB, or RGBA where it is clear somewhere, shape (height, width, 3 or 4); ``digest``: their hash."""

    name: str
    category: str
    split: str
    brand: str
    source: str
    pixels: NDArray[np.uint8] = field(repr=False, compare=False)
    digest: str = ""
    size: tuple[int, int] | None = None  # width and height of its file's picture, where that matters
    notes: tuple[str, ...] = ()  # what of its file was left out

    @cached_property
    def ground(self) -> int:
        """White (255) or black (0): what it is laid over where a picture without alpha is needed."""
        return ground_of(self.pixels)

    @cached_property
    def flat(self) -> NDArray[np.uint8]:
        """Opaque RGB, shape (height, width, 3)."""
        return self.pixels if self.pixels.shape[2] == 3 else over(self.pixels, self.ground)


@dataclass(frozen=True)
class Skipped:
    """A file that was left out, and why."""

    source: str
    reason: str


@dataclass(frozen=True)
class LogoSet:
    """Logos in a fixed order (by name), the files that were left out, and what was done against the manifest."""

    path: str
    logos: tuple[Logo, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...] = ()

    def of_split(self, split: str) -> list[Logo]:
        return [logo for logo in self.logos if logo.split == split]

    def counts(self) -> dict[str, dict[str, int]]:
        """{category: {split: number of logos}}."""
        found = Counter((logo.category, logo.split) for logo in self.logos)
        return {c: {s: found[c, s] for s in SPLITS} for c in CATEGORIES if any(found[c, s] for s in SPLITS)}

    def digest(self) -> str:
        """A hash of every logo's pixels, category and split."""
        text = "\n".join(f"{logo.digest} {logo.category} {logo.split}" for logo in self.logos)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Shares:
    """Shares of validation and test logos if no manifest assigns the splits; the rest is for training."""

    validation: float = 0.2
    test: float = 0.1


@dataclass(frozen=True)
class _Entry:
    name: str
    category: str | None
    split: str | None
    brand: str
    source: str
    read: Callable[[Decoders, int], Found]  # argument: longest side that is wanted, in pixels
    file: Path = Path()


def load_logos(
    path: str,
    longest_side: int = 256,
    shares: Shares = Shares(),
    seed: int = 7,
    n_per_category: int = 60,
    use_manifest: bool = True,
    needs_both_splits: bool = True,
    stays_inside: bool = False,
) -> LogoSet:
    """Load the logos of ``path``: "builtin" or a folder. ``seed`` and ``n_per_category`` are for the built-in set.

    ``use_manifest``: if the folder has a manifest, load only the logos that it names; otherwise every picture in the folder.
    ``needs_both_splits``: move a logo where none is for training or validation. ``stays_inside``: leave out links that lead out of the folder.

    Raises:
        LogosError: there is no such folder, or it has no picture that can be traced.
    """
    skipped: list[Skipped] = []
    entries = (
        _builtin_entries(seed, n_per_category) if path == BUILTIN else _folder_entries(Path(path), skipped, use_manifest, stays_inside)
    )
    if len(entries) > MAX_LOGOS:
        raise LogosError(f"{path} has {len(entries)} pictures; the limit is {MAX_LOGOS}, so use a smaller folder")
    with Decoders() as decoders, ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda entry: _load(entry, longest_side, shares, decoders), entries))
    skipped += [r for r in results if isinstance(r, Skipped)]
    logos = sorted((r for r in results if isinstance(r, Logo)), key=lambda logo: (logo.name, logo.source))
    logos = _unique(logos, skipped)
    if not logos:
        reasons = "; ".join(f"{Path(s.source).name}: {s.reason}" for s in skipped[:3])
        raise NoPictureError(f"{path} contains no usable picture" + (f" ({reasons})" if reasons else ""), tuple(skipped))
    assigned = {entry.source for entry in entries if entry.split}
    moved = with_both_splits(logos) if needs_both_splits else logos
    notes = [
        f"{after.name} is used for {after.split}, although the manifest says {before.split}, because no other logo is assigned to {after.split}"
        for before, after in zip(logos, moved, strict=True)
        if before.split != after.split and before.source in assigned
    ]
    notes += [f"{logo.name}: {note}" for logo in moved for note in logo.notes]
    return LogoSet(path, tuple(moved), tuple(sorted(skipped, key=lambda s: s.source)), tuple(notes))


def _builtin_entries(seed: int, n_per_category: int) -> list[_Entry]:
    return [
        _Entry(
            made.name,
            made.category,
            _builtin_split(seed, made),
            "",
            f"{BUILTIN}:{made.name}",
            lambda _, side, svg=made.svg: _drawn(svg, side),  # type: ignore[misc]
        )
        for made in make_logos(seed, n_per_category)
    ]


def _drawn(svg: str, longest_side: int) -> Found:
    """One of our own, which needs no guard."""
    return Found(fit(decode_picture(svg.encode(), svg_side=2 * longest_side), longest_side))


def _builtin_split(seed: int, made: MadeLogo) -> str:
    """Of every ten logos of a category, seven are for training, two for validation and one for test, whatever the set's size."""
    block, place = divmod(int(made.name.rsplit("-", 1)[1]), 10)
    order = np.random.default_rng([seed, 9, CATEGORIES.index(made.category), block]).permutation(10)
    return "train" if order[place] < 7 else "validation" if order[place] < 9 else "test"


def _folder_entries(folder: Path, skipped: list[Skipped], use_manifest: bool, stays_inside: bool) -> list[_Entry]:
    if not folder.is_dir():
        raise LogosError(f"logos.path = {str(folder)!r} is not a folder; give a folder of pictures or {BUILTIN!r}")
    manifest = folder / "manifest.csv"
    if stays_inside and inside(folder, manifest) is None:
        raise LogosError(f"{printable(str(manifest))} is a link that leads out of the folder")
    if use_manifest and manifest.is_file():
        return list(_within(folder, _manifest_entries(folder, manifest, skipped), skipped, stays_inside))
    entries = []
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        if any(part.startswith(".") for part in parts) or file.name.lower() in IGNORED or file.is_dir():
            continue
        if not file.is_file():
            skipped.append(Skipped(printable(str(file)), "it is not a file, or a link to nothing"))
            continue
        category = parts[0].lower() if len(parts) > 1 and parts[0].lower() in CATEGORIES else None
        name = _readable("/".join((*parts[1 if category else 0 : -1], file.stem)))
        entries.append(_Entry(name, category, None, "", _readable(str(file)), _reader(file), file))
    return list(_within(folder, entries, skipped, stays_inside))


def _within(folder: Path, entries: Iterable[_Entry], skipped: list[Skipped], stays_inside: bool) -> Iterator[_Entry]:
    """Those that may be read: all, unless links are to stay inside."""
    for entry in entries:
        if stays_inside and inside(folder, entry.file) is None:
            skipped.append(Skipped(printable(entry.source), "it is a link that leads out of the folder"))
        else:
            yield entry


def _manifest_entries(folder: Path, manifest: Path, skipped: list[Skipped]) -> Iterable[_Entry]:
    rows = read_manifest(manifest)
    listed: dict[Path, set[str]] = {}
    for number, row in enumerate(rows, start=2):
        name, category = row["name"], row["category"].lower()
        where = f"{manifest}:{number}"
        if not name:
            skipped.append(Skipped(where, "this row has no name"))
            continue
        if category and category not in CATEGORIES:
            skipped.append(Skipped(where, f"category {category!r} is not one of {', '.join(CATEGORIES)}"))
            continue
        split = row["split"].lower() or None
        if split is not None and split not in SPLITS:
            skipped.append(Skipped(where, f"split {split!r} is not one of {', '.join(SPLITS)}"))
            continue
        file = _find(folder, category, name, listed)
        if file is None:
            skipped.append(Skipped(where, f"no picture named {name} in {category or 'the folder'}"))
            continue
        yield _Entry(name, category or None, split, row["brand"], str(file), _reader(file), file)


def _readable(name: str) -> str:
    """A name as it can be written anywhere, also where it is no UTF-8."""
    return name.encode(errors="replace").decode()


def _reader(file: Path) -> Callable[[Decoders, int], Found]:
    """Reads a file; an SVG is drawn at twice the longest side and shrunk."""
    return lambda decoders, side: decoders.read(file, None, svg_side=2 * side, longest_side=side)


def _find(folder: Path, category: str, name: str, listed: dict[Path, set[str]]) -> Path | None:
    """A row's picture: in its category's folder, beside the manifest or, since it may have been given another category, in a folder of another;
    ``listed`` caches the folders' contents.
    """
    if "/" in name or "\\" in name or name in (".", ".."):
        return None
    for parent in (folder / category, folder, *(folder / other for other in CATEGORIES if other != category)):
        if parent not in listed:
            listed[parent] = {entry.name for entry in os.scandir(parent) if entry.is_file()} if parent.is_dir() else set()
        for candidate in (name, *(f"{name}{suffix}" for suffix in FORMATS)):
            if candidate in listed[parent]:
                return parent / candidate
    return None


def _load(entry: _Entry, longest_side: int, shares: Shares, decoders: Decoders) -> Logo | Skipped:
    try:
        found = entry.read(decoders, longest_side)
    except PictureError as error:
        return Skipped(entry.source, str(error))
    pixels, digest = found.pixels, digest_of(found.pixels)
    flat = pixels if pixels.shape[2] == 3 else over(pixels, ground_of(pixels))
    category = entry.category or classify(picture_features(flat))
    split = entry.split or split_of(f"brand:{entry.brand}" if entry.brand else digest, shares)
    return Logo(entry.name, category, split, entry.brand, entry.source, pixels, digest, notes=found.notes)


def digest_of(pixels: NDArray[np.uint8]) -> str:
    """A hash of a picture: 16 hexadecimal digits."""
    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()[:16]


def split_of(key: str, shares: Shares) -> str:
    """The split of a brand or of a picture's digest; the same key always gives the same split."""
    draw = int(hashlib.sha256(key.encode()).hexdigest()[:12], 16) / 16**12
    if draw < shares.validation:
        return "validation"
    return "test" if draw < shares.validation + shares.test else "train"


def _unique(logos: list[Logo], skipped: list[Skipped]) -> list[Logo]:
    """Leave out duplicate pictures, and make the names of logos unique."""
    first: dict[str, Logo] = {}
    names: Counter[str] = Counter()
    kept = []
    for logo in logos:
        if logo.digest in first:
            skipped.append(Skipped(logo.source, f"Same as {first[logo.digest].name} ({first[logo.digest].split})"))
            continue
        first[logo.digest] = logo
        names[logo.name] += 1
        kept.append(logo if names[logo.name] == 1 else replace(logo, name=f"{logo.name}~{names[logo.name]}"))
    return kept


def with_both_splits(logos: list[Logo]) -> list[Logo]:
    """Move a logo, with its brand, where train or validation is empty: a small folder may hash into a single split."""
    for wanted in ("train", "validation"):
        if len(logos) > 1 and not any(logo.split == wanted for logo in logos):
            sizes = Counter(logo.split for logo in logos)
            donor = "test" if sizes["test"] else sizes.most_common(1)[0][0]
            moved = min((logo for logo in logos if logo.split == donor), key=lambda logo: logo.digest)
            group = {moved.brand} if moved.brand else set()
            logos = [replace(x, split=wanted) if x is moved or (x.brand and x.brand in group) else x for x in logos]
    return logos


def write_logos(folder: Path, seed: int = 7, n_per_category: int = 60, longest_side: int = 512) -> int:
    """Write the built-in set to a folder: a PNG and an SVG per logo, and a manifest.csv. Returns the number of logos.

    Raises:
        LogosError: the folder exists and is not empty.
    """
    if folder.exists() and any(folder.iterdir()):
        raise LogosError(f"{folder} is not empty; give a new folder")
    made = make_logos(seed, n_per_category)
    rows = []
    for logo in made:
        pixels = fit(decode_picture(logo.svg.encode(), svg_side=2 * longest_side), longest_side)
        for path, data in (
            (folder / logo.category / f"{logo.name}.png", encode_png(pixels)),
            (folder / "svg" / logo.category / f"{logo.name}.svg", logo.svg.encode()),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        rows.append(
            {
                "name": logo.name,
                "category": logo.category,
                "width": pixels.shape[1],
                "height": pixels.shape[0],
                "licence": "MIT",
                "svg_bytes": len(logo.svg),
            }
        )
    write_csv(folder / "manifest.csv", rows)
    return len(made)
