"""Over eighty hostile files, with good ones among them, given to the commands as a folder and as a zip: every good one is taken, every other
refused in one sentence that names it, and nothing is left behind."""

import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from core.errors import PictureError
from core.logos.intake import Decoders
from core.logos.uploads import take_in
from core.names import printable
from tests.support import hostile
from tests.support.paths import ROOT

MAX_MB = 1000
PER_FILE_S = 5.0


@pytest.fixture(scope="module")
def corpus() -> list[hostile.Hostile]:
    return hostile.corpus()


def tree(folder: Path) -> set[str]:
    return {os.fsencode(path.relative_to(folder)).decode(errors="replace") for path in folder.rglob("*")}


def call(home: Path, tmp_path: Path, n_files: int, *arguments: object, codes: tuple[int, ...] = (0,)) -> tuple[dict, str]:
    """A command with --json: its answer and what it told; within limits of time and memory, and without a traceback."""
    out, told = tmp_path / "stdout", tmp_path / "stderr"
    began = time.monotonic()
    with out.open("wb") as stdout, told.open("wb") as stderr:
        child = subprocess.Popen(
            [sys.executable, "-m", "core", *map(str, arguments), "--json"],
            cwd=ROOT, env=os.environ | {"TRACEWRIGHT_HOME": str(home)}, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
        )  # fmt: skip
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    text = told.read_text(errors="replace")
    assert child.returncode in codes, text
    assert "Traceback" not in text + out.read_text(errors="replace")
    assert usage.ru_maxrss / 1024 < MAX_MB
    assert usage.ru_utime + usage.ru_stime < PER_FILE_S * n_files
    assert time.monotonic() - began < PER_FILE_S * n_files
    lines = out.read_text(errors="replace").splitlines()
    return (json.loads(lines[-1]) if lines else {}), text


def check_fates(files: list[hostile.Hostile], taken: set[str], refused: dict[str, str]) -> None:
    """``taken`` and ``refused`` by the name of the file alone."""
    names = {printable(file.name): file.fate for file in files}
    assert not {name for name, fate in names.items() if fate == "taken"} - taken
    assert not {name for name, fate in names.items() if fate == "refused"} - refused.keys()
    assert not names.keys() - taken - refused.keys(), "a file of which nothing is said"
    assert not {name: reason for name, reason in refused.items() if "\n" in reason or not 8 < len(reason) < 300}


def test_there_are_enough_and_no_two_are_called_the_same(corpus):
    assert sum(file.fate != "taken" for file in corpus) >= 60
    assert len({file.name for file in corpus}) == len(corpus) > 110


def spent_s() -> float:
    """CPU seconds of this process and of all that it started."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = time.process_time() + ended.ru_utime + ended.ru_stime
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            found += sum(child.cpu_times()[:2])
    return found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_file_takes_more_than_five_seconds(tmp_path, corpus):
    """Of CPU time, to be taken in and decoded: the clock depends on what else the machine does."""
    costs = {}
    with Decoders() as decoders:
        for k, file in enumerate(corpus):
            (folder := tmp_path / str(k)).mkdir()
            began = spent_s()
            for item in take_in([(file.name, file.data)], folder).taken:
                with contextlib.suppress(PictureError):
                    decoders.decode((folder / item.name).read_bytes(), None, 512, 256)
            costs[file.name] = spent_s() - began
    assert max(costs.values()) < PER_FILE_S, sorted(costs.items(), key=lambda cost: -cost[1])[:5]
    assert len(costs) == len(corpus)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_folder_of_hostile_files_is_optimized_checked_and_added(home, tmp_path, corpus):
    folder = hostile.write_folder(tmp_path / "given", corpus)
    before, n = tree(folder), len(corpus)
    strange = {"pipe.png", "device.png", "outside.png", "nowhere.png", "round.png"}

    made, told = call(home, tmp_path, n, "optimize", folder, "--out", tmp_path / "svgs", "--budget", 1, "--max-side", 64)
    refused = {printable(Path(item["file"]).name): item["reason"] for item in made["skipped"]}
    check_fates(corpus, {printable(Path(row["file"]).name) for row in made["results"]}, refused)
    assert strange <= refused.keys()
    assert all(told.count(f"skipped {item['file']}: ".encode(errors="replace").decode()) == 1 for item in made["skipped"])
    assert any("left out: a script" in row["remark"] for row in made["results"])

    checked, _ = call(home, tmp_path, n, "logos", "check", folder)
    refused = {printable(Path(item["source"]).name): item["reason"] for item in checked["skipped"]}
    assert strange <= refused.keys()
    assert checked["logos"] >= sum(file.fate == "taken" for file in corpus)

    added, _ = call(home, tmp_path, n, "logos", "add", "mine", folder)
    refused = {printable(Path(item["file"]).name): item["reason"] for item in added["refused"]}
    check_fates([f for f in corpus if not f.name.endswith(".zip")], {Path(item["file"]).name for item in added["taken"]}, refused)
    stored = {path.name for path in (home / "logos" / "mine").iterdir()}
    assert stored == {item["name"] for item in added["taken"]} | {"manifest.csv"}
    _, told = call(home, tmp_path, n, "import", folder, codes=(2,))
    assert told.count("\n") == 1
    assert tree(folder) == before
    assert left(home) == {"logos/mine"}


def left(home: Path) -> set[str]:
    """What is in a home beside the caches: folders that are no longer needed would be here."""
    return {name for name in tree(home) if name.count("/") < 2 and not name.startswith("cache") and name != "logos"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_zip_of_hostile_files_is_optimized_and_added(home, tmp_path, corpus):
    archive = tmp_path / "given.zip"
    archive.write_bytes(hostile.as_zip(corpus))
    inside = [*corpus, *(hostile.Hostile(name.replace("\0", " "), b"", "either") for name in hostile.IN_ZIPS)]

    made, _ = call(home, tmp_path, len(inside), "optimize", archive, "--out", tmp_path / "svgs", "--budget", 1, "--max-side", 64)
    assert left(home) == set()
    added, _ = call(home, tmp_path, len(inside), "logos", "add", "mine", archive)
    head = f"{archive}/"
    taken = {item["file"].removeprefix(head) for item in added["taken"]}
    check_fates(corpus, taken, {item["file"].removeprefix(head): item["reason"] for item in added["refused"]})
    assert {"../../outside.png", "/etc/absolute.png", "Case.png", "case.png", "CASE.PNG"} <= taken
    assert {row["file"] for row in made["results"]} >= {item["file"] for item in added["taken"]}
    stored = [path.name for path in (home / "logos" / "mine").iterdir()]
    assert len(stored) == len({name.casefold() for name in stored}) == len(taken) + 1
    assert all(len(name.encode()) < 140 for name in stored)
    assert left(home) == {"logos/mine"}
    assert {path.name for path in tmp_path.iterdir()} <= {"given.zip", "svgs", "home", "stdout", "stderr"}

    zips = tmp_path / "zips"
    zips.mkdir()
    for bad in [*hostile.zips(), hostile.good()[0]]:
        (zips / bad.name).write_bytes(bad.data)
    given = sorted(zips.iterdir())
    made, _ = call(home, tmp_path, 12, "optimize", *given, "--out", tmp_path / "svgs", "--budget", 1, "--max-side", 64)
    added, _ = call(home, tmp_path, 12, "logos", "add", "other", *given)
    for skipped in (made["skipped"], added["refused"]):
        assert {item["file"].removeprefix(f"{zips}/").split("/")[0] for item in skipped} == {bad.name for bad in hostile.zips()}
    bomb = zips / "zip-bomb.zip"
    for command in (("logos", "add", "none", bomb), ("optimize", bomb, "--out", tmp_path / "none"), ("import", bomb)):
        _, told = call(home, tmp_path, 10, *command, codes=(2,))
        assert told.startswith("error: ")
        assert "zip-bomb.zip" in told
        assert told.count("\n") == 1
    assert left(home) == {"logos/mine", "logos/other"}
    assert not (tmp_path / "none").exists()
