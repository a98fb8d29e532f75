"""Strangers in a real Chromium: pages from another local port, a frame, a name that was pointed at this machine; and what they give."""

import contextlib
import csv
import http.server
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
import pytest

from core.access.exposure import HOSTS_VARIABLE, TOKEN_VARIABLE
from core.config.installation import PageSettings, Settings, write_settings
from core.csv_files import unguarded
from core.names import printable
from core.runs.records import claim, write_label
from core.scheduling import batch
from pages.server import service
from pages.views.reports import kinds
from pages.views.reports.document import to_html
from storage.ingest import catch_up
from storage.store import Store
from tests.support import hostile
from tests.support.browsers import FLAGS
from tests.support.evaluated import digest_of, evaluated_run
from tests.support.paths import ROOT
from tests.support.requirements import need
from tests.support.runs import tiny_config
from tests.support.servers import serving

STRANGER = "stranger.example"
OPERATORS = "logos.example"  # a name that the operator gave the console
TOKEN = "a token for those behind a proxy".replace(" ", "-")
# What a page can try: it tells in `tried` what came of each
ATTACK = """<!doctype html><title>elsewhere</title><body><script>
window.tried = {};
const at = "http://HOST/", tell = (what, result) => { window.tried[what] = result; };
const frame = document.createElement("iframe");
frame.onload = () => tell("frame", "loaded"); frame.src = at; document.body.append(frame);
const picture = new Image();
picture.onload = () => tell("picture", "shown"); picture.onerror = () => tell("picture", "refused"); picture.src = at + "favicon.png";
for (const [what, options] of [["read", {}], ["blind", {mode: "no-cors"}], ["write", {method: "POST", mode: "no-cors", body: "a"}]])
  fetch(at + "api/runs", options).then(async a => tell(what, (await a.text()) || a.type), () => tell(what, "refused"));
const socket = new WebSocket("ws://HOST/_stcore/stream");
socket.onopen = () => tell("socket", "open"); socket.onerror = () => tell("socket", "refused");
</script>"""


@contextmanager
def page_elsewhere(target: str):
    """A page on another port of this machine that attacks ``target``; yields its address."""
    body = ATTACK.replace("HOST", target).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture
def foreign(chromium):
    """A browser to which a stranger's name is pointed at this machine."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        rules = f"--host-resolver-rules=MAP {STRANGER} 127.0.0.1, MAP {OPERATORS} 127.0.0.1"
        browser = playwright.chromium.launch(executable_path=chromium, args=[*FLAGS, rules])
        yield browser.new_page()
        browser.close()


def test_nothing_is_read_written_or_opened_from_elsewhere(home, tmp_path, foreign):
    claim(home, tiny_config("builtin", name="secret"))
    with serving(home, tmp_path) as server:
        target = urlsplit(server.url).netloc
        answers = []
        foreign.on("response", lambda answer: answers.append((urlsplit(answer.url).netloc, answer.status)))
        with page_elsewhere(target) as address:
            foreign.goto(address)
            foreign.wait_for_function("Object.keys(tried).length >= 5 && 'socket' in tried && 'picture' in tried")
            tried = foreign.evaluate("tried")
        assert tried["socket"] == "refused"
        assert tried["picture"] == "refused"
        assert tried["read"] == "refused"
        assert "secret" not in str(tried)
        assert {status for host, status in answers if host == target} == {403}

        port = urlsplit(server.url).port
        answer = foreign.goto(f"http://{STRANGER}:{port}/")
        assert answer.status == 421
        assert "does not accept the host" in foreign.inner_text("body")
        assert foreign.goto(f"http://{STRANGER}:{port}/api/runs").status == 421
        opened = "new Promise(done => { const s = new WebSocket(`ws://${location.host}/_stcore/stream`);"
        assert foreign.evaluate(f"{opened} s.onopen = () => done('open'); s.onerror = () => done('refused'); }})") == "refused"
        speaks_to_itself_only(server)


def speaks_to_itself_only(server):
    """Whatever Host and Origin said: no look-up and no packet to anything but this machine."""
    told = server.addresses()
    assert told, "nothing was recorded"
    own = ("'127.0.0.1'", "'::1'", "'localhost'", "('127.0.0.1', ", "('::1', ", "'/", "b'127.0.0.1'")
    assert not {(event, address) for event, address in told if not address.startswith(own)}


def opens(page, url):
    """A page of the console, live through its websocket: what it shows comes over that."""
    sockets = []
    page.on("websocket", lambda found: sockets.append(found.url))
    page.goto(url)
    page.get_by_role("heading", name="Welcome").wait_for()  # there is no run yet
    page.get_by_role("link", name="Logos", exact=True).first.click()
    page.get_by_role("heading", name="Logos").first.wait_for()
    assert sockets


def test_the_console_works_under_each_of_its_own_names(home, tmp_path, foreign):
    with serving(home, tmp_path) as server:
        port = urlsplit(server.url).port
        for name in ("localhost", "127.0.0.1"):
            opens(foreign, f"http://{name}:{port}/")
        speaks_to_itself_only(server)


def test_the_console_works_at_the_newer_address_of_this_machine(home, tmp_path, foreign):
    with contextlib.closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            need(None, "IPv6 on this machine's loopback")
    with serving(home, tmp_path, "--server.address", "::1", host="[::1]") as server:
        opens(foreign, server.url)
        speaks_to_itself_only(server)


def test_the_console_works_under_a_base_path(home, tmp_path, foreign):
    with serving(home, tmp_path, "--server.baseUrlPath", "logos/console", base="/logos/console") as server:
        opens(foreign, f"{server.url}/logos/console/")
        answer = foreign.goto(f"http://{STRANGER}:{urlsplit(server.url).port}/logos/console/")
        assert answer.status == 421
        # Pages and their start script know where they are, under the policy that holds elsewhere
        for path, said in (
            ("", 'src="/logos/console/api/start.js"'),
            ("live", 'src="/logos/console/api/start.js"'),
            ("api/start.js", '"/logos/console/"'),
        ):
            with urllib.request.urlopen(f"{server.url}/logos/console/{path}", timeout=5) as found:
                assert found.headers["content-security-policy"] == service.CONTENT_SECURITY_POLICY
                assert said in found.read().decode()
        speaks_to_itself_only(server)


@contextmanager
def proxy_to(port: int):
    """What passes bytes on and leaves the Host as the browser said it, as nginx is set up for websockets; yields its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    threads, ends = [], []

    def pass_on(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(("127.0.0.1", port))
                ends.extend((near, far))
                for pair in ((near, far), (far, near)):
                    threads.append(threading.Thread(target=pass_on, args=pair, daemon=True))
                    threads[-1].start()

    accepting = threading.Thread(target=serve, daemon=True)
    accepting.start()
    try:
        yield listener.getsockname()[1]
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        for thread in (accepting, *threads):
            thread.join(10)


def test_the_console_works_behind_a_proxy_that_the_operator_names(home, tmp_path, foreign):
    named = {HOSTS_VARIABLE: OPERATORS, TOKEN_VARIABLE: TOKEN}  # without sign-in or a token it does not start
    with serving(home, tmp_path, is_open=False, environment=named) as server, proxy_to(urlsplit(server.url).port) as port:
        assert foreign.goto(f"http://{OPERATORS}:{port}/").status == 401
        opens(foreign, f"http://{OPERATORS}:{port}/?token={TOKEN}")
        assert foreign.goto(f"http://{STRANGER}:{port}/").status == 421
        speaks_to_itself_only(server)


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
