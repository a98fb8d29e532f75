"""Writes requirements.lock: every package that requirements.txt brings, each with one version and the hashes of its files.

uv resolves against the indexes that pip uses on this machine. One thing is added to what it finds: an index may serve torch as a build of its
own (2.13.0+cpu) where others serve plain 2.13.0, so the lock pins the plain version, which both are, and lists the hashes of both. Versions
that the lock has already stay as long as they fit.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
OPTIONS = ("--quiet", "--generate-hashes", "--no-header", "--no-annotate", "--python-version", "3.11")
HEAD = """\
# Written by `make lock` from requirements.txt, for Python 3.11 on Linux (x86-64) and torch without CUDA. Where it does not fit,
# `make setup` takes requirements.txt.
"""
LOCAL = re.compile(r"^(?P<name>[\w.-]+)==(?P<public>[^\s+]+)\+\S+ \\$", re.MULTILINE)  # a pin of a build of one index's own
ENTRY = r"==.*?(?=^[\w.-]+==|\Z)"
INDEXES = {"find-links": "UV_FIND_LINKS", "index-url": "UV_DEFAULT_INDEX", "extra-index-url": "UV_EXTRA_INDEX_URL"}


def of_pip(option: str) -> str:
    """What pip's environment or configuration says of an option, "" for nothing."""
    named = os.environ.get(f"PIP_{option.upper().replace('-', '_')}", "")
    asked = [sys.executable, "-m", "pip", "config", "get", f"global.{option}"]
    return named or " ".join(subprocess.run(asked, capture_output=True, text=True, check=False).stdout.split())


def compiled(source: Path, out: Path, indexes: dict[str, str], *options: str) -> str:
    """What uv makes of a file of requirements."""
    certificate = {"SSL_CERT_FILE": found} if (found := of_pip("cert")) else {}
    command = [sys.executable, "-m", "uv", "pip", "compile", *OPTIONS, *options, "--output-file", str(out), str(source)]
    subprocess.run(command, env=os.environ | certificate | indexes, check=True)
    return out.read_text(encoding="utf-8")


def with_public_builds(text: str, folder: Path) -> str:
    """A lock whose pins of an index's own builds stand for the plain versions too, with the hashes of both."""
    for name, version in LOCAL.findall(text):
        own = re.search(rf"^{re.escape(name)}{ENTRY}", text, re.MULTILINE | re.DOTALL)
        (folder / "one.txt").write_text(f"{name}=={version}\n", encoding="utf-8")
        plain = compiled(folder / "one.txt", folder / "one.lock", {}, "--no-deps")
        both = sorted({*re.findall(r"--hash=\S+", own[0] if own else ""), *re.findall(r"--hash=\S+", plain)})
        entry = f"{name}=={version}" + "".join(f" \\\n    {each}" for each in both) + "\n"
        text = text.replace(own[0], entry) if own else text
    return text


def main() -> None:
    indexes = {variable: found for option, variable in INDEXES.items() if (found := of_pip(option))}
    with tempfile.TemporaryDirectory() as name:
        out = Path(name) / LOCK.name
        if LOCK.exists():  # whose versions are kept
            out.write_bytes(LOCK.read_bytes())
        found = compiled(ROOT / "requirements.txt", out, indexes | {"UV_INDEX_STRATEGY": "unsafe-best-match"})
        LOCK.write_text(HEAD + with_public_builds(found, Path(name)), encoding="utf-8")


if __name__ == "__main__":
    main()
