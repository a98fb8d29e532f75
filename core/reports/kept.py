"""The reports that are kept: ``<home>/reports/NAME.html`` beside ``NAME.json``, which says what it is about.

It knows no report's content. Guarantees: a name is taken once; a report is listed only when it is whole; what was deleted can be put
back for a week; a name from a link or a person never leads out of the folder.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from core.errors import DamagedFileError, RunError
from core.files import remove, write_aside
from core.runs.small_files import Seconds, Text, read

FOLDER, DELETED = "reports", ".deleted"
KEPT_S = 7 * 24 * 3600.0  # that a deleted report can be put back
ENDINGS = (".html", ".pdf", ".json")  # of a report's files; the last one says that it is there
_NAME = re.compile(r"[0-9]{8}-[0-9]{6}-[a-z0-9-]{1,60}")
Trigger = Literal["hand", "end", "stage", "day", "week"]
TRIGGERS: dict[str, str] = {
    "hand": "made manually",
    "end": "at the end of a run or a study",
    "stage": "at the end of a stage",
    "day": "daily summary",
    "week": "weekly summary",
}


@dataclass(frozen=True)
class About:
    """What a report says of itself. ``kind``: run, comparison, curriculum, period or study, or what another version knows; ``study``: its id,
    where it is about one, and ``runs`` then hold the run of its best trial."""

    kind: Text
    title: Text
    runs: Annotated[list[Text], Field(max_length=10_000)]
    made: Seconds
    trigger: Text = "hand"
    event_ts: Seconds = 0.0
    summary: Text = ""
    study: Text = ""


@dataclass(frozen=True)
class Report:
    """A kept report."""

    name: str
    folder: Path
    about: About = field(compare=False)

    @property
    def html_file(self) -> Path:
        return self.folder / f"{self.name}.html"

    @property
    def pdf_file(self) -> Path:
        return self.folder / f"{self.name}.pdf"

    @property
    def n_bytes(self) -> int:
        """Of the HTML; 0 where it is gone."""
        try:
            return self.html_file.stat().st_size
        except OSError:
            return 0


def folder_of(home: Path) -> Path:
    return home / FOLDER


def keep(home: Path, html: bytes, about: About) -> Report:
    """Keep a report. The file that says what it is about is written last: without it there is no report."""
    folder = folder_of(home)
    folder.mkdir(parents=True, exist_ok=True)
    name = _free_name(folder, about)
    report = Report(name, folder, replace(about, title=about.title[:10_000], summary=about.summary[:10_000]))
    try:
        write_aside(report.html_file, html)
        write_aside(folder / f"{name}.json", json.dumps({"v": 1} | asdict(report.about)).encode())
    except OSError:
        remove(report.html_file)
        raise
    return report


def _free_name(folder: Path, about: About) -> str:
    """A name of date, trigger and title that nothing has; its HTML is there, empty, so that nobody else takes it."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(about.made))
    slug = re.sub(r"[^a-z0-9]+", "-", f"{about.trigger} {about.title}".lower()).strip("-")[:40].strip("-") or "report"
    for n in range(1, 10_000):
        name = f"{stamp}-{slug}" if n == 1 else f"{stamp}-{slug}-{n}"
        if (folder / DELETED / f"{name}.json").exists():
            continue
        with contextlib.suppress(FileExistsError):
            (folder / f"{name}.html").touch(exist_ok=False)
            return name
    raise RunError(f"no free name for {stamp}-{slug} in {folder}; delete reports there")


def all_reports(home: Path) -> list[Report]:
    """Every kept report that can be read, the newest first."""
    return sorted(_in(folder_of(home)), key=lambda report: (report.about.made, len(report.name), report.name), reverse=True)


def problems(home: Path) -> list[str]:
    """A line for each report that is there and can't be read, with what to do."""
    found = []
    for path in _abouts(folder_of(home)):
        try:
            if read(path, About) is not None and not path.with_suffix(".html").is_file():
                found.append(f"{path.stem}: its HTML file is missing; delete {path.name} too and make the report again")
        except DamagedFileError as error:
            found.append(f"{path.stem}: {error}; the report itself is {path.with_suffix('.html').name}; fix or delete {path.name}")
    return found


def _abouts(folder: Path, pattern: str = "*.json") -> list[Path]:
    try:
        return sorted(path for path in folder.glob(pattern) if _NAME.fullmatch(path.stem))
    except OSError:
        return []


def _in(folder: Path, pattern: str = "*.json") -> Iterator[Report]:
    for path in _abouts(folder, pattern):
        with contextlib.suppress(DamagedFileError):
            about = read(path, About)
            if about is not None and path.with_suffix(".html").is_file():
                yield Report(path.stem, folder, about)


def find(home: Path, name: str) -> Report:
    """A kept report by its name.

    Raises:
        RunError: there is none; the text names the newest.
    """
    if _NAME.fullmatch(name):
        for report in _in(folder_of(home), f"{name}.json"):
            return report
    newest = ", ".join(report.name for report in all_reports(home)[:3])
    raise RunError(
        f"no report {name[:100]!r} is saved in {folder_of(home)}" + (f"; newest are {newest}" if newest else "; none are saved yet")
    )


def delete(report: Report) -> None:
    """Take a report out of the list; it can be put back for a week."""
    aside = report.folder / DELETED
    aside.mkdir(exist_ok=True)
    _move(report.name, report.folder, aside, ENDINGS[::-1])  # what lists it goes first
    with contextlib.suppress(OSError):
        os.utime(aside / f"{report.name}.json")


def deleted(home: Path) -> list[Report]:
    """The deleted reports that can be put back, the one deleted last first."""
    found = list(_in(folder_of(home) / DELETED))
    return sorted(found, key=lambda report: _age_of(report.folder / f"{report.name}.json"), reverse=True)


def restore(home: Path, name: str) -> Report:
    """Put a deleted report back.

    Raises:
        RunError: it is not among them.
    """
    for report in deleted(home):
        if report.name == name:
            _move(name, report.folder, folder_of(home), ENDINGS)
            return find(home, name)
    raise RunError(f"{name[:100]!r} is not among the deleted reports; it may have been deleted for good")


def _move(name: str, source: Path, to: Path, endings: tuple[str, ...]) -> None:
    for ending in endings:
        with contextlib.suppress(FileNotFoundError):
            os.replace(source / f"{name}{ending}", to / f"{name}{ending}")


def _age_of(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def purge(home: Path, older_than_s: float = KEPT_S) -> int:
    """Remove for good what was deleted longer ago; returns how many reports."""
    before = time.time() - older_than_s
    gone = [report for report in deleted(home) if _age_of(report.folder / f"{report.name}.json") <= before]
    for report in gone:
        for ending in ENDINGS[::-1]:
            remove(report.folder / f"{report.name}{ending}")
    return len(gone)


def thin_out(home: Path, n_most: int) -> int:
    """Delete the oldest of those that were made automatically, beyond ``n_most`` of them; returns how many."""
    automatic = [report for report in all_reports(home) if report.about.trigger != "hand"]
    for report in automatic[n_most:]:
        delete(report)
    return len(automatic[n_most:])


def by_event(home: Path) -> dict[tuple[str, str, float], str]:
    """{(run, trigger, time of the event that called for a report): the report's name}. Two events of a run may bear the same time."""
    return {
        (run, report.about.trigger, report.about.event_ts): report.name
        for report in all_reports(home)
        if report.about.event_ts
        for run in report.about.runs
    }
