"""Where the parts of a run lie: this module alone knows the names of its folder's files. It reads none of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.errors import RunError
from core.files import inside

CHECKSUMS_FILE = "checksums.json"  # written last into a checkpoint
ROLLOUT_FILE = "rollout.npz"  # of a checkpoint that a stop wrote in the middle of a rollout
COMMANDS_FILE, QUEUE_ENTRY_FILE, STOP_FILE, PAUSE_FILE = "commands.txt", "ticket.json", "stop.json", "pause"
RECOVERY_FILE, PARENT_FILE, SCHEDULER_FILE = "recovery.json", "parent.json", "scheduler.json"
TRIAL_FILE, PRUNING_FILE = "trial.json", "prune.json"  # which trial of which study a run is, and that its study gave it up
PREVIOUS, PARENT_CHECKPOINT = "previous", "parent"  # checkpoints: the one before last, and what a fork began with
COMMANDS = ("advance", "hold", "release", "back")  # for the curriculum, by hand
CONFIG_FILE, EVENTS_FILE = "config.yaml", "events.jsonl"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGEST = re.compile(r"[A-Za-z0-9_-]{1,128}")


def _part(digest: str) -> str:
    """A digest as a log has it, as part of a file's name; a log that was tampered with leads to no file."""
    return digest if _DIGEST.fullmatch(digest) else "none"


@dataclass(frozen=True)
class RunDir:
    """Paths and small files of one run; the same run where the folder is the same."""

    path: Path

    @property
    def run_id(self) -> str:
        return self.path.name

    @property
    def config_file(self) -> Path:
        return self.path / CONFIG_FILE

    @property
    def events_file(self) -> Path:
        return self.path / EVENTS_FILE

    @property
    def log_file(self) -> Path:
        return self.path / "train.log"

    @property
    def heartbeat_file(self) -> Path:
        return self.path / "heartbeat.json"

    @property
    def process_file(self) -> Path:
        return self.path / "process.json"

    @property
    def label_file(self) -> Path:
        return self.path / "label.json"

    @property
    def trackers(self) -> Path:
        """How far each other tracker was written, and what is written there for TensorBoard and Weights & Biases."""
        return self.path / "trackers"

    @property
    def imported_file(self) -> Path:
        """Where the figures of an imported run come from; other runs have none."""
        return self.path / "imported.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def pictures(self) -> Path:
        return self.path / "pictures"

    def picture_file(self, digest: str) -> Path:
        return self.pictures / f"{_part(digest)}.png"

    def default_svg_file(self, digest: str) -> Path:
        return self.pictures / f"{_part(digest)}.default.svg"

    def svg_file(self, step: int, digest: str) -> Path:
        return self.path / "evaluations" / f"{step:010d}" / f"{_part(digest)}.svg"

    @property
    def experience_file(self) -> Path:
        """Every conversion of the training, for the outcome model."""
        return self.path / "experience.bin"

    def case_file(self, digest: str) -> Path:
        """A picture whose conversion cost a worker."""
        return self.path / "cases" / f"{_part(digest)}.png"

    def relative(self, path: Path) -> str:
        return path.relative_to(self.path).as_posix()

    def inside(self, relative: str) -> Path | None:
        """The file that a log names by a relative path; None where that leads out of the run, also by a link, or names no file."""
        return self.own(self.path / relative)

    def own(self, path: Path) -> Path | None:
        """A path of this run with its links followed; None where they lead out of it."""
        return inside(self.path, path)

    def exists(self) -> bool:
        return self.config_file.is_file()

    def checkpoint_names(self) -> list[str]:
        """The checkpoints that are there: last, then the one written last first."""
        found = [path for path in self.checkpoints.glob(f"*/{CHECKSUMS_FILE}") if not path.parent.name.startswith(".")]
        with suppress(FileNotFoundError):  # one that is just being replaced
            found.sort(key=lambda path: (path.parent.name != "last", -path.stat().st_mtime_ns))
        return [path.parent.name for path in found]

    def last_checkpoint(self) -> Path | None:
        """The newest checkpoint to resume from; where a crash left only its predecessor, that."""
        names = self.checkpoint_names()
        return self.checkpoints / names[0] if names else None

    def best_checkpoint(self) -> Path | None:
        """The checkpoint with the best validation gain, else the last."""
        return self._checkpoint("best") or self.last_checkpoint()

    def _checkpoint(self, name: str) -> Path | None:
        folder = self.checkpoints / name
        return folder if (folder / CHECKSUMS_FILE).is_file() else None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads in a circle
        return False


def all_runs(home: Path) -> Iterator[RunDir]:
    """Every run of a home, oldest name first; a run that lost its config or its log is one still."""
    for name in folders_in(home):
        if has_run(path := home / name):
            yield RunDir(path)


def folders_in(home: Path) -> list[str]:
    """The folders of a home that are called as a run may be, by name; none where it is not there yet, or is no folder."""
    try:
        with os.scandir(home) as entries:
            return sorted(entry.name for entry in entries if _ID.fullmatch(entry.name) and _is_folder(entry))
    except OSError:
        return []


def unlisted(home: Path) -> list[str]:
    """What holds a run and is not listed, a line each with why and what to do."""
    try:
        with os.scandir(home) as entries:
            names = sorted(entry.name for entry in entries if not _ID.fullmatch(entry.name) and _is_run(home / entry.name))
    except OSError:
        return []
    return [
        f"{name!r} holds a run but is not listed: a run's folder name may have at most 100 ASCII letters, digits, dots, dashes and underscores, "
        "starting with a letter or digit; rename it"
        for name in names
        if not name.startswith(".deleted-")
    ]


def is_run_id(name: str) -> bool:
    """Whether a run's folder may be called so."""
    return _ID.fullmatch(name) is not None


def _is_run(path: Path) -> bool:
    """Whether a folder is a run's."""
    return os.path.isdir(path) and has_run(path)


def has_run(folder: Path | str) -> bool:
    """Whether a folder holds a config or a log, of whatever kind."""
    return any(os.path.lexists(f"{folder}/{name}") for name in (CONFIG_FILE, EVENTS_FILE))


def find_run(name: str, home: Path) -> RunDir:
    """A run by its id, or by its directory.

    Raises:
        RunError: no such run; the text lists the newest that exist.
    """
    if _ID.fullmatch(name) and _is_run(home / name):
        return RunDir((home / name).resolve())
    if "\0" not in name and _is_run(Path(name)):
        return RunDir(Path(name).resolve())
    known = [run.run_id for run in all_runs(home)][-3:]
    hint = f"; newest are {', '.join(known)}" if known else "; there are no runs yet"
    raise RunError(f"no run {name[:100]!r} in {home}{hint}")
