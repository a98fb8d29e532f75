"""What Tracewright is made of: every package that it runs on, with version and licence, as a list and as a CycloneDX bill of materials.

From what is installed here, beginning at the project's own requirements; tests, checks and optional extras are not in it. Guarantee: a
package whose licence is GPL or AGPL, or is not known, is refused by name. What a wheel bundles is its own licence's matter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from email.message import Message
from importlib import metadata
from typing import Any, Literal, cast

from core.paths import IS_PACKAGED, PROJECT

NOTES = {"thorvg-python": "LGPL: a shared library, loaded at run time, unchanged, and anybody can put another in its place"}
_REQUIREMENT = re.compile(r"^([A-Za-z0-9][\w.-]*)\s*(?:\[([^\]]*)\])?")
_EXTRA = re.compile(r"""extra\s*==\s*["']([\w.-]+)["']""")
_MAX_NAME = 80  # characters of what may be a licence's name rather than its text
Verdict = Literal["allowed", "noted", "refused"]


@dataclass(frozen=True)
class Part:
    """A package. ``licence``: as it names it, "unknown" where it names none."""

    name: str
    version: str
    licence: str
    verdict: Verdict
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def parts() -> list[Part]:
    """Every package that is installed and needed, by name."""
    found: dict[str, Part] = {}
    due = [(name, extras) for line in _own_requirements() if (name := _name(line)) for extras in [_extras(line)]]
    seen: set[tuple[str, frozenset[str]]] = set()
    while due:
        name, extras = due.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another system
        found[name] = _part(name, package)
        due += [(_name(line), _extras(line)) for line in package.requires or () if _is_wanted(line, extras)]
    return [found[name] for name in sorted(found)]


def _own_requirements() -> list[str]:
    if IS_PACKAGED:
        return [line for line in metadata.requires("tracewright") or () if _is_wanted(line, frozenset())]
    text = (PROJECT / "requirements.txt").read_text(encoding="utf-8")
    return [line for raw in text.splitlines() if (line := raw.partition("#")[0].strip()) and not line.startswith("-")]


def _name(line: str) -> str:
    """A requirement's package, as packages are compared."""
    match = _REQUIREMENT.match(line)
    return re.sub(r"[-_.]+", "-", match[1]).lower() if match else ""


def _extras(line: str) -> frozenset[str]:
    match = _REQUIREMENT.match(line)
    return frozenset(part.strip() for part in (match[2] or "").split(",") if part.strip()) if match else frozenset()


def _is_wanted(line: str, extras: frozenset[str]) -> bool:
    """Whether a requirement holds without more, or for one of these extras; its system is told by what is installed."""
    needed = set(_EXTRA.findall(line.partition(";")[2]))
    return not needed or bool(needed & extras)


def _part(name: str, package: metadata.Distribution) -> Part:
    licence = licence_of(package)
    said = verdict(name, licence)
    return Part(name, package.version, licence, said, NOTES.get(name, "") if said == "noted" else "")


def licence_of(package: metadata.Distribution) -> str:
    """A package's licence as an expression, in its classifiers or by name; the first line where it gives the whole text."""
    about = cast(Message, package.metadata)
    expression = about.get("License-Expression")
    if expression:
        return str(expression)
    classifiers = [c.rpartition("::")[2].strip() for c in about.get_all("Classifier") or [] if str(c).startswith("License ::")]
    named = [c for c in classifiers if c != "OSI Approved"]
    first = next(iter(str(about.get("License") or "").strip().splitlines()), "").strip()
    if named:
        return " AND ".join(named)
    return " ".join(first.split())[:_MAX_NAME] or "unknown"


def verdict(name: str, licence: str) -> Verdict:
    """Whether a package of this licence may be shipped with; of alternatives (OR) the best counts."""
    return min((_of_one(name, part) for part in re.split(r"\s+OR\s+", licence)), key=("allowed", "noted", "refused").index)


def _of_one(name: str, licence: str) -> Verdict:
    low = licence.lower()
    if not low or low in ("unknown", "proprietary", "other/proprietary license") or "affero" in low or "agpl" in low:
        return "refused"
    if "lgpl" in low or "lesser general public" in low:
        return "noted" if name in NOTES else "refused"
    return "refused" if "gpl" in low or "general public license" in low else "allowed"


def cyclonedx(found: list[Part]) -> bytes:
    """A bill of materials, CycloneDX 1.6. The same packages give the same bytes."""
    return (json.dumps(_document(found), indent=2) + "\n").encode()


def _document(found: list[Part]) -> dict[str, Any]:
    own = {"type": "application", "name": "tracewright", "bom-ref": "tracewright", "licenses": [{"license": {"id": "MIT"}}]}
    components = list(_components(found))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": own},
        "components": components,
        "dependencies": [{"ref": "tracewright", "dependsOn": [each["bom-ref"] for each in components]}],
    }


def _components(found: list[Part]) -> Iterator[dict[str, Any]]:
    for part in found:
        url = f"pkg:pypi/{part.name}@{part.version.replace('+', '%2B')}"
        yield {
            "type": "library",
            "bom-ref": url,
            "name": part.name,
            "version": part.version,
            "purl": url,
            "licenses": [{"license": {"name": part.licence}}],
        }
