"""Sets of own logos when whoever writes them is killed."""

import os
import signal
import subprocess
import sys

import pytest

from core.logos import sets
from core.logos.dataset import load_logos
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
