"""Sets of own logos when whoever writes them is killed."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from core.errors import LogosError
from core.logos import sets
from core.logos.dataset import load_logos
from core.logos.vectors import vector_of
from tests.support.logos import png
from tests.support.paths import ROOT

CHILD = """
import os, signal, sys
from pathlib import Path
from core.logos import sets
from core import files

n = int(sys.argv[2])
calls = []

def die_at(original):
    def wrapped(*arguments, **options):
        calls.append(1)
        if len(calls) == n:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **options)
    return wrapped

sets.load_logos = die_at(sets.load_logos)
sets.write_csv = die_at(sets.write_csv)
files.os.replace = die_at(files.os.replace)
sets.add_pictures(Path(sys.argv[1]), "mine", [("new.png", Path(sys.argv[3]).read_bytes())])
"""


@pytest.mark.parametrize("n", [1, 3, 4, 5, 6])
def test_kill_9_at_any_step_of_adding_pictures_loses_no_manifest(home, tmp_path, n):
    """The manifest was renamed away while the folder was read: killed there, all categories and splits were gone."""
    folder = sets.add_pictures(home, "mine", [(f"logo {i}.png", png(i)) for i in range(4)]).folder
    sets.relabel(home, str(folder), "logo 2", category="complex", split="validation")
    before = (folder / "manifest.csv").read_bytes()
    (tmp_path / "new.png").write_bytes(png(9))
    done = subprocess.run([sys.executable, "-c", CHILD, str(home), str(n), str(tmp_path / "new.png")], cwd=ROOT, env=os.environ, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert (folder / "manifest.csv").read_bytes() == before
    assert next(logo for logo in load_logos(str(folder)).logos if logo.name == "logo 2").category == "complex"
    again = sets.add_pictures(home, "mine", [("new.png", png(9))])  # takes in what the killed one had put there, and leaves nothing of it
    assert bool(again.intake.taken) is (n < 5)
    assert sorted(path.name for path in folder.parent.iterdir()) == ["mine"]
    after = {logo.name: (logo.category, logo.split) for logo in load_logos(str(folder)).logos}
    assert after["logo 2"] == ("complex", "validation")
    assert "new" in after


def test_two_quick_changes_of_a_logo_both_count(home):
    folder = sets.make_procedural(home, "brands", 7, 4, 64)
    logo = load_logos(str(folder), 64).logos[0]
    category = next(name for name in ("simple", "text") if name != logo.category)
    split = next(name for name in ("train", "validation") if name != logo.split)
    with ThreadPoolExecutor(2) as threads:
        asked = [
            threads.submit(sets.relabel, home, str(folder), logo.name, **change) for change in ({"category": category}, {"split": split})
        ]
        for each in asked:
            each.result()
    found = next(each for each in load_logos(str(folder), 64).logos if each.name == logo.name)
    assert (found.category, found.split) == (category, split)


def test_a_logo_in_the_folder_of_its_category_stays_when_it_is_given_another(home):
    folder = sets.make_procedural(home, "brands", 7, 4, 64)
    before = load_logos(str(folder), 64).logos
    sets.relabel(home, str(folder), "complex-000", category="text")
    found = load_logos(str(folder), 64)
    assert {logo.name for logo in found.logos} == {logo.name for logo in before}
    assert not found.skipped
    moved = next(logo for logo in found.logos if logo.name == "complex-000")
    assert moved.category == "text"
    assert vector_of(moved, str(folder)) == vector_of(before[0], str(folder)) is not None


def test_files_of_one_name_in_two_folders_stay_two_logos(home):
    folder = sets.sets_folder(home) / "brands"
    for n, category in enumerate(("simple", "text", "gradient", "complex")):
        (folder / category).mkdir(parents=True)
        (folder / category / "mark.png").write_bytes(png(n, 64))
        (folder / category / f"other{n}.png").write_bytes(png(10 + n, 64))
    before = load_logos(str(folder), 64).logos
    sets.relabel(home, str(folder), "other0", split="test")
    after = load_logos(str(folder), 64).logos
    assert sorted((logo.digest, logo.category) for logo in after) == sorted((logo.digest, logo.category) for logo in before)
    with pytest.raises(LogosError, match="another file called mark"):
        sets.relabel(home, str(folder), "mark", category="text")
    assert len(load_logos(str(folder), 64).logos) == 8
