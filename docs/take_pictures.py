"""Takes the pictures of docs/pictures: every page, light and dark, and one of each task that the browser tests do.

make pictures                                    # after at least one run with built-in logos; needs Chromium
python docs/take_pictures.py gallery workbench   # these pages alone
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
sys.path.insert(0, str(ROOT))

from core.logos.dataset import BUILTIN, write_logos  # noqa: E402
from core.paths import runs_home  # noqa: E402
from core.runs.event_types import LogoEvaluated  # noqa: E402
from core.runs.events import read_events  # noqa: E402
from core.runs.records import read_config  # noqa: E402
from core.runs.run_dir import all_runs  # noqa: E402
from core.runs.status import overview  # noqa: E402
from core.scheduling import batch, films  # noqa: E402
from core.scheduling.job import JobStatus  # noqa: E402
from core.studies.study import all_studies  # noqa: E402

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
SEEN = "localStorage.setItem('tracewright.tour', 'seen')"  # the tour is shown once, in the picture of Runs


def pages() -> dict[str, tuple[str, int]]:
    """{name: (address, height)}. Only runs with built-in logos: no path of a machine, nobody's brand."""
    found = {run.run_id: run for run in all_runs(runs_home()) if read_config(run).logos.path == BUILTIN}
    rows = [row for row in map(overview, found.values()) if row["best_gain"] is not None]
    if not rows:
        raise SystemExit("there is no run with built-in logos yet: python -m core train --config configs/quick.yaml")
    by_gain = [row["run_id"] for row in sorted(rows, key=lambda row: -row["best_gain"])]
    staged = [i for i in by_gain if read_config(found[i]).curriculum.enabled] or by_gain
    told = [i for i in by_gain if any(event.kind == "alert" for event in read_events(found[i].events_file))] or by_gain
    compared = "&".join(f"run={i}" for i in by_gain[:3])
    best, stage = by_gain[0], staged[0]
    return {
        "optimize": ("optimize", 1240),
        "runs": ("", 620),
        "new_run": ("new_run", 900),
        "live": (f"live?run={stage}", 1500),
        "live-parameters": (f"live?run={stage}&tab=Parameters", 1950),
        "live-rewards": (f"live?run={stage}&tab=Rewards", 2300),
        "health": (f"live?run={told[-1]}&tab=Health", 1650),
        "curriculum": (f"curriculum?run={stage}", 1300),
        "curriculum-rules": (f"curriculum?run={stage}&tab=Rules+and+what-if", 1250),
        "logos": ("logos", 1350),
        "gallery": (f"gallery?run={best}&left=original", 1250),
        "gallery-outlines": (f"gallery?run={best}&cover=paths", 1000),
        "gallery-over-time": (f"gallery?run={best}&view=Over+time", 820),
        "gallery-film": (f"gallery?run={best}&view=Over+time", 1500),
        "gallery-trade-off": (f"gallery?run={best}&view=Trade-off", 1150),
        "workbench": (f"workbench?run={best}", 1250),
        "compare": (f"compare?{compared}", 1150),
        "compare-logos": (f"compare?{compared}&tab=Logo+by+logo", 1500),
        "models": ("models", 1000),
        **({"search": ("search", 1150)} if next(iter(all_studies(runs_home())), None) else {}),  # a study is made by whoever has the hour
        "reports": ("reports", 900),
        "reports-trends": ("reports?tab=Trends", 700),
        "alerts": ("alerts", 620),
        "system": ("system", 640),
        "settings": ("settings", 780),
        "choose": (f"choose?source=run%2F{best}", 900),
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


def make_films() -> None:
    """A film for the gallery to show, and one as a file, of the run that the gallery's pictures are of."""
    (run,) = [run for run in all_runs(runs_home()) if run.run_id == parse_qs(urlsplit(pages()["gallery"][0]).query)["run"][0]]
    logos = sorted({event.data.logo for event in read_events(run.events_file) if isinstance(event.data, LogoEvaluated)})
    if not films.films_of(runs_home(), run):
        made = films.start(runs_home(), films.Request([run.run_id], logos[:: max(len(logos) // 6, 1)][:6]))
        while made.status() is JobStatus.WORKING:
            time.sleep(0.2)
    command = [sys.executable, "-m", "core", "film", run.run_id, "--out", str(PICTURES / "film.webp"), "--seconds", "0.7"]
    subprocess.run(command, cwd=ROOT, check=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def take_tasks() -> None:
    """The browser tests of what people come for, each leaving a picture."""
    environment = os.environ | {"TRACEWRIGHT_PICTURES": str(PICTURES)}
    tests = ["tests/browser", "tests/integration"]
    wanted = "report or stage or worst or export or clone or hand or main_path or twenty"
    subprocess.run([sys.executable, "-m", "pytest", "-m", "browser", "-k", wanted, *tests], cwd=ROOT, env=environment, check=True)


def take_pages(chromium: str, names: list[str]) -> None:
    """Pages in both themes; every one where no names are given."""
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
            for scheme, suffix in (("light", ""), ("dark", "-dark")):
                context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
                for name, (path, height) in pages().items():
                    if names and name not in names:
                        continue
                    page = context.new_page()
                    if name != "runs":
                        page.add_init_script(SEEN)
                    page.set_viewport_size({"width": 1440, "height": height})
                    page.goto(f"{url}/{path}")
                    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=120_000)
                    if name == "gallery-trade-off":
                        page.get_by_role("button", name="Try 40 more settings").click()
                        page.wait_for_timeout(6000)
                    if name == "gallery-film":
                        page.wait_for_function("() => document.querySelector('video')?.readyState >= 2")
                        page.evaluate("() => { document.querySelector('video').currentTime = 6.5; }")
                    page.wait_for_timeout(3000)  # charts and pictures fade in; there is no event for the last of them
                    page.screenshot(path=PICTURES / f"{name}{suffix}.png")
                    page.close()
            browser.close()
        finally:
            server.terminate()


def main() -> int:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        print("no Chromium found: install it (Debian: apt-get install chromium)", file=sys.stderr)
        return 2
    PICTURES.mkdir(parents=True, exist_ok=True)
    names = sys.argv[1:]
    if unknown := set(names) - set(pages()):
        print(f"no page {', '.join(sorted(unknown))}; there are {', '.join(pages())}", file=sys.stderr)
        return 2
    make_batch()
    if not names or "gallery-film" in names:
        make_films()
    take_pages(chromium, names)
    if not names:
        take_tasks()
    return 0


if __name__ == "__main__":
    sys.exit(main())
