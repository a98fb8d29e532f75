"""Writes requirements.lock: every package that requirements.txt brings, each with one version and the hashes of its files.

uv resolves against the indexes that pip uses on this machine. Where one serves a build of its own (torch 2.13.0+cpu), the lock names the plain
version, which pip takes for it, with the hash of that build alone: pip would rather have a file of which another index tells an allowed hash,
and torch's brings gigabytes of CUDA. That one is in requirements-cuda.lock, made from the public index alone and for every platform, which
.ci/install.py takes where the other build is not to be had. Versions that the lock has already stay as long as they fit.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK, CUDA_LOCK = ROOT / "requirements.lock", ROOT / "requirements-cuda.lock"
OPTIONS = ("--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--python-version", "3.11")
HEAD = """\
# Written by `make lock` from requirements.txt, for Python 3.11 on Linux (x86-64) and torch without CUDA. Where it does not fit,
# .ci/install.py says what `make setup` does.
"""
CUDA_HEAD = """\
# Written by `make lock` from requirements.txt, for Python 3.11 on any platform, with the public index's torch (on Linux with CUDA).
"""
LOCAL = re.compile(r"^([\w.-]+==[^\s+]+)\+\S+", re.MULTILINE)  # a pin of a build of one index's own
INDEXES = {"find-links": "UV_FIND_LINKS", "index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_EXTRA_INDEX_URL"}


def of_pip(option: str) -> str:
    """What pip's environment or configuration says of an option, "" for nothing."""
    named = os.environ.get(f"PIP_{option.upper().replace('-', '_')}", "")
    asked = [sys.executable, "-m", "pip", "config", "get", f"global.{option}"]
    return named or " ".join(subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split())


def compiled(out: Path, indexes: dict[str, str], *options: str) -> str:
    """What uv makes of requirements.txt; pins that ``out`` has are wishes."""
    certificate = {"SSL_CERT_FILE": found} if (found := of_pip("cert")) else {}
    command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, *options, "--output-file", str(out), str(ROOT / "requirements.txt")]
    subprocess.run(command, env=os.environ | certificate | indexes, check=True)
    return out.read_text(encoding="utf-8")


def kept() -> list[str]:
    """The lock's pins of what requirements.txt does not name itself: uv takes them for wishes, and would wish for the plain torch too."""
    own = {line.partition("==")[0].lower() for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()}
    pins = re.findall(r"^[\w.-]+==[^\s\\]+", LOCK.read_text(encoding="utf-8") if LOCK.exists() else "", re.MULTILINE)
    return [pin for pin in pins if pin.partition("==")[0] not in own]


def main() -> None:
    indexes = {variable: found for option, variable in INDEXES.items() if (found := of_pip(option))}
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / LOCK.name
        out.write_text("\n".join(kept()), encoding="utf-8")
        found = compiled(out, indexes | {"UV_INDEX_STRATEGY": "unsafe-best-match"})
        LOCK.write_text(HEAD + LOCAL.sub(r"\1", found), encoding="utf-8")
        out.write_text("\n".join(kept()), encoding="utf-8")
        alone = dict.fromkeys(INDEXES.values(), "") | {key: value for key, value in indexes.items() if key == "UV_DEFAULT_INDEX"}
        CUDA_LOCK.write_text(CUDA_HEAD + compiled(out, alone, "--universal"), encoding="utf-8")


if __name__ == "__main__":
    main()
