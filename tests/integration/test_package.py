"""The package as pip builds it: what it holds, and its command in an environment of its own, run from a stranger's folder."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from core.config.text import to_yaml
from core.runs.records import read_config
from core.runs.run_dir import RunDir
from tests.support.logos import write_logos
from tests.support.paths import ROOT
from tests.support.runs import tiny_config
from tests.support.servers import free_port

pytestmark = pytest.mark.xdist_group("package")  # they share one environment
SOURCES = ("app.py", "core", "pages", "storage", "configs", "models", ".streamlit", "pyproject.toml", "README.md", "LICENSE")
# Files of the repository's root that lie below core/shipped in the package
MOVED = {"configs": "core/shipped/configs", "models": "core/shipped/models", ".streamlit": "core/shipped/streamlit"}
UP_S = 120.0


def pip(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a copy, since building leaves folders behind."""
    folder = tmp_path_factory.mktemp("package")
    for name in (*SOURCES, *(path.name for path in ROOT.glob("requirements*.txt"))):
        source, to = ROOT / name, folder / "source" / name
        to.parent.mkdir(exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, to, ignore=shutil.ignore_patterns("__pycache__", "secrets.toml"))
        else:
            shutil.copy(source, to)
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(folder / "source"))
    (found,) = folder.glob("tracewright-*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command ``tracewright`` of an environment that has the wheel, and the packages that it needs from this one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "theirs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip("--python", str(folder / "bin" / "python"), "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    return folder / "bin" / "tracewright"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder with modules that are called like ours and like others."""
    folder = tmp_path / "a stranger's folder"
    for name in ("core", "pages", "storage", "streamlit"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("raise SystemExit('the wrong one')\n")
    return folder


def tracewright(installed: Path, elsewhere: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([installed, *arguments], cwd=elsewhere, capture_output=True, text=True, timeout=200)


def test_the_package_holds_every_module_and_all_data(wheel):
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {"app.py"}
    for top in ("core", "pages", "storage", *MOVED):
        for path in (ROOT / top).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts and path.name != "secrets.toml":
                wanted.add(f"{MOVED.get(top, top)}/{path.relative_to(ROOT / top).as_posix()}")
    assert sorted(wanted - packed) == [], "missing: a folder's line in pyproject.toml's packages, or a kind of file in its package-data"
    assert sorted(packed - wanted) == []


def test_help_names_the_command(installed, elsewhere):
    done = tracewright(installed, elsewhere, "--help")
    assert done.returncode == 0, done.stderr
    assert "Usage: tracewright" in done.stdout
    done = tracewright(installed, elsewhere, "train")
    assert done.returncode == 2
    assert "configs/quick.yaml" in done.stderr


@pytest.mark.timeout(240)
def test_it_makes_svgs_anywhere(installed, elsewhere):
    shutil.copy(next(iter(sorted(write_logos(elsewhere / "logos").rglob("*.png")))), elsewhere / "logo.png")
    done = tracewright(installed, elsewhere, "optimize", "logo.png", "--budget", "1", "--json")
    assert done.returncode == 0, done.stderr
    assert (elsewhere / "svgs" / "logo.svg").is_file()


@pytest.mark.timeout(240)
def test_it_trains_anywhere(installed, elsewhere, home):
    write_logos(elsewhere / "logos")
    (elsewhere / "tiny.yaml").write_text(to_yaml(tiny_config(Path("logos"), total_timesteps=16)))
    done = tracewright(installed, elsewhere, "train", "--config", "tiny.yaml", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["status"] == "COMPLETED"
    assert Path(told["path"]).parent == home
    assert read_config(RunDir(Path(told["path"]))).logos.path == str(elsewhere / "logos")  # also for who resumes it from elsewhere


@pytest.mark.timeout(180)
def test_the_console_opens_anywhere(installed, elsewhere):
    url = f"http://127.0.0.1:{(port := free_port())}"
    with subprocess.Popen([installed, "console", "--port", str(port)], cwd=elsewhere, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + UP_S
            while True:
                assert process.poll() is None
                assert time.monotonic() < deadline
                try:
                    with urllib.request.urlopen(f"{url}/api/runs", timeout=5) as answer:
                        assert json.load(answer)["runs"] == []
                    break
                except OSError:
                    time.sleep(0.2)
        finally:
            process.terminate()
            process.wait(30)
