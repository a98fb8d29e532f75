"""Takes the README's pictures: starts the console on the runs there are and photographs its pages.

make pictures        # after at least one quick run; needs Chromium
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from core.logos.dataset import BUILTIN, write_logos  # noqa: E402
from core.runs import batch  # noqa: E402
from core.runs.events import read_events  # noqa: E402
from core.runs.run_dir import all_runs, runs_home  # noqa: E402
from core.runs.status import overview  # noqa: E402

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def pages() -> dict[str, tuple[str, int]]:
    """{name: (address, height)}: the live page of the best run, the Health tab of one that has findings."""
    runs = [overview(run) for run in all_runs(runs_home())]
    best = max(runs, key=lambda run: run["best_gain"] or -9.0)["run_id"]
    told = [run.run_id for run in all_runs(runs_home()) if any(event.kind == "alert" for event in read_events(run.events_file))]
    builtin = {run.run_id for run in all_runs(runs_home()) if run.read_config().logos.path == BUILTIN}  # no path of a machine in a picture
    others = sorted((run for run in runs if run["best_gain"] is not None and run["run_id"] in builtin), key=lambda run: -run["best_gain"])
    compared = "&".join(f"run={run['run_id']}" for run in others[:3])
    return {
        "optimize": ("optimize", 1240),
        "compare": (f"compare?{compared}", 1150),
        "runs": ("", 620),
        "new_run": ("new_run", 900),
        "live": (f"live?run={best}", 1180),
        "health": (f"live?run={(told or [best])[-1]}&tab=Health", 1450),
        "gallery": (f"gallery?run={best}", 1250),
        "alerts": ("alerts", 620),
        "system": ("system", 640),
        "settings": ("settings", 780),
    }


def make_batch() -> None:
    """Something for the Optimize page to show: built-in logos, where nothing was optimized yet."""
    if batch.all_batches(runs_home()):
        return
    with tempfile.TemporaryDirectory() as scratch:
        write_logos(Path(scratch) / "logos", 11, 4, 512)
        files = [(path.name, path.read_bytes()) for path in sorted((Path(scratch) / "logos").rglob("*.png"))]
    made = batch.start(runs_home(), files, batch.Request())
    while made.status() is batch.BatchStatus.WORKING:
        time.sleep(0.2)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("no Chromium found: install it (Debian: apt-get install chromium)", file=sys.stderr)
        return 2
    make_batch()
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), "--server.port", str(port)]
    with (
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as server,
        sync_playwright() as playwright,
    ):
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    urllib.request.urlopen(f"{url}/api/health", timeout=5).close()
                    break
                except OSError:
                    if time.monotonic() > deadline or server.poll() is not None:
                        raise
                    time.sleep(0.2)
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            for name, (path, height) in pages().items():
                page = browser.new_page(viewport={"width": 1440, "height": height})
                page.goto(f"{url}/{path}")
                page.wait_for_selector("[data-testid=stMain]")
                page.wait_for_load_state("networkidle")
                page.wait_for_timeout(4000)  # charts and pictures fade in; there is no event for the last of them
                page.screenshot(path=ROOT / "docs" / f"{name}.png")
                page.close()
            browser.close()
        finally:
            server.terminate()
    return 0


if __name__ == "__main__":
    sys.exit(main())
