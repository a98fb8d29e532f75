"""Who uses the console during a soak: one tab stays on Live, another uploads, looks at pages in turn and deletes what it uploaded."""

from __future__ import annotations

import io
import re
import threading
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from PIL import Image

from core.bench.heap import heap_bytes, held_objects
from core.bench.ui import SETTLED, VIEWPORT
from core.logos.procedural import CATEGORIES, make_logo
from core.logos.sets import sets_folder
from core.scheduling.batch import Batch, BatchStatus, all_batches
from core.tracing.raster import rasterizer
from pages.server.registry import PAGES

SET = "soak"
N_PAGES = len(PAGES)  # after so many rounds each was seen
PATIENCE_S = 240.0  # the machine is busy: three trainings are all that it can do
_ODD = 'logo <b>x</b> [a](b) \u202e äß "q" 100%.png'
_SIDE = 64
_BOMB_BYTES = 60_000_000
_KNOWN = re.compile("WebAssembly|wasm", re.IGNORECASE)  # Streamlit's protobuf tries it, is refused by the policy and goes on without
_IS_ANOTHER = "known => { const id = new URLSearchParams(location.search).get('batch'); return id && !known.includes(id); }"
_PROBLEM = "[data-testid=stException]"


@dataclass(frozen=True)
class Handful:
    """Files to drop on an upload box, and how many of them must be taken and refused."""

    files: tuple[tuple[str, bytes], ...]
    n_taken: int
    n_refused: int


def handful(n: int) -> Handful:
    """The files of round ``n``: good ones of changing kinds, which no other round has, and one that must be refused."""
    a, b = f"first {n}", f"second {n}"
    damaged = (f"damaged {n}.png", saved("PNG", n, 2)[:24])
    files: tuple[tuple[str, bytes], ...]
    match n % 4:
        case 0:
            files = ((f"{a}.png", saved("PNG", n, 0)), (f"{b}.png", saved("PNG", n, 1)), damaged)
        case 1:
            files = ((f"{a}.png", saved("PNG", n, 0, has_alpha=True)), (f"{b}.jpg", saved("JPEG", n, 1)), (f"bomb {n}.zip", bomb()))
        case 2:
            files = ((f"{a}.svg", logo(n, 0)), (_ODD, saved("PNG", n, 1)), damaged)
        case _:
            files = (
                (f"{a}.zip", zipped({f"{a}.png": saved("PNG", n, 0), f"folder/{b}.webp": saved("WEBP", n, 1)})),
                damaged,
            )
    return Handful(files, 2, 1)


def logo(n: int, k: int) -> bytes:
    return make_logo(1, CATEGORIES[(n + k) % len(CATEGORIES)], 3 * n + k).svg.encode()


def saved(form: str, n: int, k: int, has_alpha: bool = False) -> bytes:
    """Picture ``k`` of round ``n``."""
    drawn = rasterizer().draw_rgba(logo(n, k), _SIDE, _SIDE) if has_alpha else rasterizer().draw(logo(n, k), _SIDE, _SIDE)
    buffer = io.BytesIO()
    Image.fromarray(drawn).save(buffer, form)
    return buffer.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@cache
def bomb() -> bytes:
    """A small zip of much nothing."""
    return zipped({"large.png": bytes(_BOMB_BYTES)})


class Visitor:
    """Two tabs of one browser. ``failures``: what did not come out as it should; ``errors``: what pages wrote to the browser's console.
    ``pictures``: a folder for pictures of what failed.
    """

    def __init__(self, browser: Any, url: str, home: Path, is_over: threading.Event, pictures: Path | None = None) -> None:
        from playwright.sync_api import Error

        self._error, self._url, self._home, self._is_over, self._pictures = Error, url, home, is_over, pictures
        self._context = browser.new_context(viewport=VIEWPORT)
        self._context.set_default_timeout(PATIENCE_S * 1000)
        self.failures: list[str] = []
        self.errors: list[str] = []
        self.n_uploads = self.n_files = self.n_refused = self.n_visits = self.n_deleted = 0
        self._live = self._new_tab()
        self._tab = self._new_tab()
        self._devtools = self._context.new_cdp_session(self._live)

    def _new_tab(self) -> Any:
        page = self._context.new_page()
        page.on("console", lambda said: self._heard(said.type, said.text, page.url))
        page.on("pageerror", lambda error: self._heard("error", str(error), page.url))
        page.on("crash", lambda _: self.errors.append(f"{page.url}: the tab crashed"))
        return page

    def _heard(self, kind: str, text: str, url: str) -> None:
        if kind == "error" and not _KNOWN.search(text) and not self._is_over.is_set():
            self.errors.append(f"{url.removeprefix(self._url)}: {text[:300]}")

    def open_live(self, run_id: str) -> None:
        """Open Live on a run, and leave it open."""
        self._live.goto(f"{self._url}/live?run={run_id}")
        self._live.wait_for_selector('[data-testid="stVegaLiteChart"]')

    def tab_figures(self) -> dict[str, float]:
        """Heap (MB), nodes and listeners of the tab that stays on Live, after a full collection in both."""
        found: dict[str, float] = {}
        self._try("collection", self._collect_other)
        self._try("heap", lambda: found.update({"heap_mb": heap_bytes(self._devtools) / 1e6} | held_objects(self._devtools)))
        return found

    def _collect_other(self) -> None:
        devtools = self._context.new_cdp_session(self._tab)
        heap_bytes(devtools)
        devtools.detach()

    def wait(self, seconds: float) -> None:
        """So long, and meanwhile take in what the pages tell."""
        try:
            self._tab.wait_for_timeout(1000 * max(seconds, 0.0))
        except self._error:  # it has ended
            self._is_over.wait(1.0)

    def take_round(self, n: int) -> None:
        """Upload a handful, look at another page, and now and then delete."""
        given, (upload, forget) = (
            handful(n // 2),
            ((self._to_set, self._delete_set) if n % 2 == 0 else (self._to_batch, self._delete_batches)),
        )
        self._try(f"upload {n}", lambda: upload(given))
        self._try(f"visit {n}", lambda: self._visit(PAGES[n % len(PAGES)].name))
        if n % 10 in (8, 9):
            self._try(f"delete {n}", forget)

    def _try(self, what: str, act: Callable[[], None]) -> None:
        """Do one thing; what fails is kept, and the next begins on a fresh page. Nothing counts once it was asked to end."""
        if self._is_over.is_set():
            return
        try:
            act()
        except self._error as error:
            if not self._is_over.is_set():
                self.failures.append(f"{what}: {' '.join(str(error).split())[:400]}")
                self._keep_picture(what)
                self._begin_anew()

    def _begin_anew(self) -> None:
        """On a fresh page; without a browser the soak ends, and reports what it has."""
        try:
            self._tab.close()
            self._tab = self._new_tab()
        except self._error as error:
            self.failures.append(f"the browser ended: {' '.join(str(error).split())[:200]}")
            self._is_over.set()

    def _keep_picture(self, what: str) -> None:
        """What the tab shows, beside the samples."""
        if self._pictures is not None:
            with suppress(self._error):
                self._tab.screenshot(path=str(self._pictures / f"{what}.png"))

    def _open(self, address: str) -> None:
        self._tab.goto(f"{self._url}/{address}")
        self._tab.wait_for_selector(SETTLED)

    def _visit(self, name: str) -> None:
        self._open(name)
        self.n_visits += 1
        if n := self._tab.locator(_PROBLEM).count():
            self.failures.append(f"{name}: {n} exceptions on the page: {self._tab.locator(_PROBLEM).first.inner_text()[:300]}")

    def _drop(self, given: Handful) -> None:
        """Files on the upload box of the page that is open; returns when all are named there."""
        files = [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in given.files]
        self._tab.locator("input[type=file]").first.set_input_files(files)
        for name, _ in given.files:
            if name != _ODD:
                self._tab.get_by_text(name).first.wait_for()
        self._tab.wait_for_selector(SETTLED)

    def _told(self, what: str, given: Handful, n_taken: int, n_refused: int) -> None:
        self.n_uploads += 1
        self.n_files += len(given.files)
        self.n_refused += n_refused
        if (n_taken, n_refused) != (given.n_taken, given.n_refused):
            self.failures.append(
                f"{what} of {', '.join(name for name, _ in given.files)}: {n_taken} taken and {n_refused} refused "
                f"instead of {given.n_taken} and {given.n_refused}"
            )

    def _to_set(self, given: Handful) -> None:
        self._open(f"logos?tab={quote('Make a set')}")
        self._drop(given)  # first: files that are dropped while a page is drawn again, as after a name was typed, are lost
        self._tab.get_by_role("textbox", name="Name of the set").fill(SET)
        self._tab.get_by_role("textbox", name="Name of the set").press("Tab")
        self._tab.get_by_role("button", name="Add to set").first.click()
        self._tab.wait_for_function("() => location.search.includes('set=')")
        told = self._tab.get_by_text(re.compile(r"\d+ files? taken, \d+ refused"))
        told.first.wait_for()
        found = re.search(r"(\d+) files? taken, (\d+) refused", told.first.inner_text())
        self._told("upload to a set", given, int(found[1]) if found else 0, int(found[2]) if found else 0)

    def _delete_set(self) -> None:
        folder = sets_folder(self._home) / SET
        self._open(f"logos?set={quote(str(folder))}&tab={quote('Make a set')}")
        self._tab.get_by_text(f"Delete {SET} and its pictures").first.click()
        self._tab.get_by_role("button", name="Delete", exact=True).first.click()
        self._tab.get_by_text(f"Deleted {SET}").first.wait_for()
        self.n_deleted += 1

    def _to_batch(self, given: Handful) -> None:
        known = {batch.batch_id for batch in all_batches(self._home)}
        self._open("optimize")
        form = self._tab.locator("details:has([data-testid=stFileUploaderDropzone])").first
        form.wait_for()
        if form.get_attribute("open") is None:  # folded beside a result; what is not drawn yet is not folded
            self._tab.get_by_text("Pictures and settings").first.click()
        self._drop(given)
        self._tab.locator(".st-key-go button").first.click()
        self._tab.wait_for_function(_IS_ANOTHER, arg=sorted(known))
        batch = next((batch for batch in all_batches(self._home) if batch.batch_id not in known), None)
        if batch is None:
            self.failures.append("the address names a batch that is not there")
            return
        self._await_done(batch)
        self._tab.locator(".card .pair").first.wait_for()
        self._tab.wait_for_selector(SETTLED)
        result = batch.result() or {"results": [], "skipped": []}
        self._told(f"batch {batch.batch_id}", given, len(result["results"]), len(batch.intake().refused) + len(result["skipped"]))

    def _await_done(self, batch: Batch) -> None:
        """Wait while a batch is worked on, as long as the patience lasts."""
        deadline = time.monotonic() + PATIENCE_S
        while batch.status() is BatchStatus.WORKING and time.monotonic() < deadline and not self._is_over.is_set():
            self.wait(1.0)

    def _delete_batches(self) -> None:
        for _ in range(len(all_batches(self._home))):
            n = len(all_batches(self._home))
            self._open("optimize")
            self._tab.locator(".st-key-delete button").first.click()
            self._tab.get_by_role("button", name="Undo").first.wait_for()
            self.n_deleted += n - len(all_batches(self._home))
