"""A report as PDF: printed by the Chromium of this machine, where there is one. It prints what the HTML shows and fetches nothing.

Guarantee: no Chromium, one that fails or one that hangs is one clear line; the HTML stays as it is.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from core.errors import RunError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
FLAGS = (
    "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND", "--no-pdf-header-footer", "--virtual-time-budget=20000",
)  # fmt: skip
TIME_LIMIT_S = 120.0


def find_browser() -> str | None:
    """The path of a Chromium that can print; None without one."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


def missing() -> str:
    """What to say where there is none."""
    return "a PDF needs Chromium (Debian: apt-get install chromium), or print the HTML from any browser"


def write_pdf(html: Path, pdf: Path, time_limit_s: float = TIME_LIMIT_S) -> int:
    """Print an HTML file; returns the PDF's bytes.

    Raises:
        RunError: there is no Chromium, or it did not print.
    """
    browser = find_browser()
    if browser is None:
        raise RunError(missing())
    with tempfile.TemporaryDirectory(prefix="report-") as scratch:
        printed = Path(scratch) / "report.pdf"
        source = Path(scratch) / "report.html"
        shutil.copyfile(html, source)  # a name with any character in it
        try:
            said = _run([browser, *FLAGS, f"--user-data-dir={scratch}/profile", f"--print-to-pdf={printed}", source.as_uri()], time_limit_s)
        except subprocess.TimeoutExpired:
            raise RunError(f"{browser} did not print the report within {time_limit_s:.0f} s; {missing()}") from None
        except OSError as error:
            raise RunError(f"{browser} can't be started: {error.strerror}; {missing()}") from error
        if not printed.is_file() or printed.stat().st_size == 0:
            raise RunError(f"{browser} did not print the report: {said or 'it gave no reason'}")
        pdf.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(printed, aside := pdf.with_name(f".{pdf.name}"))
        aside.replace(pdf)
    return pdf.stat().st_size


def _run(command: list[str], time_limit_s: float) -> str:
    """Run it; where its sandbox is refused (a container, or root), once more without. Returns its last line of complaint."""
    done = subprocess.run(command, capture_output=True, timeout=time_limit_s, check=False)
    if done.returncode and b"sandbox" in done.stderr.lower():
        done = subprocess.run([command[0], "--no-sandbox", *command[1:]], capture_output=True, timeout=time_limit_s, check=False)
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if done.returncode and lines else ""
