"""Installs what requirements.lock lists, with hashes, into this Python's environment; what `make setup` calls.

A file whose hash is not the one that is listed stops it, before anything is installed: the index serves another build, or somebody changed it.
torch is built twice under one version: where the first lock's is not to be had, requirements-cuda.lock lists the public index's. Where a
lock does not fit (another platform or Python has packages that it does not list), requirements.txt is installed, without hashes. Uses nothing
but Python's own library.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Pip = Callable[[list[str]], tuple[int, str]]  # arguments -> (exit code, what it wrote to stderr)
LOCK, CUDA_LOCK, PLAIN = "requirements.lock", "requirements-cuda.lock", "requirements.txt"
TWICE = {"torch"}  # packages with builds of their own under one version
_MISMATCH = "DO NOT MATCH THE HASHES"
_PACKAGE = re.compile(r"^    ([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?(?:==([^\s;]+))?(?:;.*)? from .*:\s*$", re.MULTILINE)
_FITS_NOT = (
    "No matching distribution found", "Could not find a version that satisfies", "is not a supported wheel on this platform",
    "requires a different Python", "Requires-Python", "all requirements must have their versions pinned", "Hashes are required in --require-hashes mode",
    "ResolutionImpossible",
)  # fmt: skip


def mismatched(log: str) -> list[str]:
    """The packages (name==version) of which pip says that their hash is another than the lock's; ["a package"] where it names none."""
    if _MISMATCH not in log:
        return []
    found = [f"{name.lower()}=={version}" if version else name.lower() for name, version in _PACKAGE.findall(log.split(_MISMATCH, 1)[1])]
    return list(dict.fromkeys(found)) or ["a package"]


def fits_not(log: str) -> bool:
    """Whether pip says that a lock is for another platform, Python or index, and not that a file was changed."""
    return _MISMATCH not in log and any(said in log for said in _FITS_NOT)


def install(pip: Pip, say: Callable[[str], None], unlocked: bool = False) -> int:
    """Install, and return an exit code."""
    if unlocked:
        say(f"UNLOCKED: {PLAIN} is installed, without hashes")
        return pip(["-r", PLAIN])[0]
    code, log = pip(["--require-hashes", "-r", LOCK])
    wrong = mismatched(log) if code else []
    if wrong and {each.partition("==")[0] for each in wrong} <= TWICE:
        say(
            f"{wrong[0]} is not the build without CUDA that {LOCK} lists: {CUDA_LOCK} is tried, which lists the public index's (with CUDA on Linux)"
        )
        code, log = pip(["--require-hashes", "-r", CUDA_LOCK])
        wrong = mismatched(log) if code else []
    if not code:
        return 0
    if wrong:
        say(
            f"error: {', '.join(wrong[:3])} is not the file that the lock lists (its hash differs), so nothing was installed: the index serves "
            "another build, or somebody changed it. If you trust the index: make setup UNLOCKED=1 (.venv/lock.log has both hashes)"
        )
        return 1
    if fits_not(log):
        say(f"{LOCK} does not fit here (.venv/lock.log says why): {PLAIN} is installed, without hashes")
        return pip(["-r", PLAIN])[0]
    last = next((line for line in reversed(log.splitlines()) if line.strip()), f"pip ended with {code}")
    say(f"error: {LOCK} could not be installed: {last.strip()[:300]}")
    return 1


def run_pip(arguments: list[str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace", check=False)
    with (Path(sys.prefix) / "lock.log").open("a", encoding="utf-8") as log:
        log.write(done.stderr)
    if "--require-hashes" not in arguments:
        sys.stderr.write(done.stderr)
    return done.returncode, done.stderr


def main() -> int:
    (Path(sys.prefix) / "lock.log").unlink(missing_ok=True)
    return install(run_pip, lambda text: print(text, file=sys.stderr, flush=True), os.environ.get("UNLOCKED", "") not in ("", "0"))


if __name__ == "__main__":
    sys.exit(main())
