"""What people do with several runs, each in a real browser: hold them against a baseline, fold seeds into a band, undo a delete elsewhere."""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core.bench.ingest import write_run
from core.bench.ui import DRAWN, alive, go_on, written
from core.runs import baseline_run
from core.runs.records import claim
from core.runs.run_dir import RunDir
from tests.support.browsers import SETTLED, keep_picture, keeps_nobody_out, tab_to
from tests.support.recorded import Recordings
from tests.support.servers import Server, serving


@pytest.fixture(scope="module")
def seeds(recordings: Recordings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[RunDir]]]:
    """A server with three seeds of one config."""
    folder = tmp_path_factory.mktemp("seeds")
    runs = [recordings.tiny(folder / "home", name=f"tiny, seed {seed}", seed=seed) for seed in (1, 2, 3)]
    with serving(folder / "home", folder) as server:
        server.await_read(sum(run.events_file.stat().st_size for run in runs))
        yield server, runs


def test_set_a_baseline_run_and_read_deltas(seeds, browse):
    """By keyboard alone, as far as something is pressed."""
    server, runs = seeds
    page = browse()
    page.goto(f"{server.url}/runs?fold=nothing")
    page.get_by_role("link", name="tiny, seed 1").first.wait_for()
    page.wait_for_selector(SETTLED)
    tab_to(page, page.get_by_role("button", name="More").last)  # the oldest stands last
    page.keyboard.press("Enter")
    tab_to(page, page.get_by_role("button", name="Set as baseline").first)
    page.keyboard.press("Enter")
    page.locator(".stMarkdownBadge").filter(has_text="Baseline").first.wait_for()
    assert baseline_run.read(runs[0].path.parent) == runs[0].run_id
    gains = page.locator("[data-testid=stMarkdown]").filter(has_text=re.compile(r"^[+-]\d\.\d{3}\s+[+-]\d\.\d{3}"))
    gains.first.wait_for()
    assert gains.count() == 2
    keep_picture(page, "task-set-a-baseline")
    page.goto(f"{server.url}/live?run={runs[2].run_id}")
    page.get_by_text("against baseline").first.wait_for()
    page.goto(f"{server.url}/compare?" + "&".join(f"run={run.run_id}" for run in runs))
    page.get_by_text("Baseline run: tiny, seed 1").first.wait_for()
    keep_picture(page, "task-read-deltas")


@contextmanager
def gone_at_the_end(run: RunDir) -> Iterator[None]:
    """Else the process of the run, which is this one, would be ended with the server."""
    try:
        yield
    finally:
        shutil.rmtree(run.path)


def test_a_live_page_shows_what_is_new_and_asks_for_nothing_else(home, tmp_path, browse):
    """Between drawings it asks what is new; the socket is quiet but for the sidebar and the time that passes."""
    run = claim(home, written(name="live", total_timesteps=20_000))
    write_run(run, 50, 500, n_evaluations=2)
    with serving(home, tmp_path) as server, gone_at_the_end(run), alive(run):
        server.await_read(run.events_file.stat().st_size)
        page, drawn, asked = browse(), [], []
        page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: drawn.append(len(frame))))
        page.on("response", lambda answer: asked.append(answer.status) if "/api/changes?run=" in answer.url else None)
        page.goto(f"{server.url}/live?run={run.run_id}")
        page.wait_for_function(DRAWN)
        while drawn:  # until what the first drawing began has ended
            drawn.clear()
            page.wait_for_timeout(3000)
        page.wait_for_timeout(6000)
        assert sum(drawn) < 40_000  # at most once everything, for the time that passed; before, it came every two seconds
        drawn.clear()
        go_on(run, 501)
        deadline = time.monotonic() + 60
        while sum(drawn) < 8_000:
            assert time.monotonic() < deadline, drawn
            page.wait_for_timeout(200)
        assert len(asked) > 4
        assert set(asked) == {200}


def test_fold_three_seeds_into_a_band(seeds, browse):
    server, _ = seeds
    page = browse()
    page.goto(f"{server.url}/runs")
    page.get_by_role("button", name="Table", exact=True).first.click()
    page.get_by_role("combobox", name="Fold by").first.click()
    page.get_by_role("option", name="seeds").first.click()
    page.get_by_text("3 runs: 3 completed").first.wait_for()
    page.keyboard.press("Escape")
    keep_picture(page, "task-fold-seeds")
    keeps_nobody_out(page, page.get_by_text("3 runs: 3 completed"))
    page.get_by_role("link", name="Compare as a band").first.click()
    page.get_by_text("Merge seeds of the same config").first.wait_for()
    page.get_by_text("Gain on validation logos").first.wait_for()
    assert page.url.count("run=") == 3
    assert "fold=true" in page.url
    page.locator(".st-key-box-gain svg, .st-key-box-gain canvas").first.wait_for()
    keep_picture(page, "task-band-of-three-seeds")


def test_recover_from_a_wrong_delete_in_another_tab(seeds, browse):
    server, runs = seeds
    one, other = browse(), browse()
    other.goto(f"{server.url}/live?run={runs[1].run_id}")
    other.get_by_text("Best validation gain").first.wait_for()
    one.goto(f"{server.url}/runs?fold=nothing")
    one.get_by_role("link", name="tiny, seed 1").first.wait_for()
    one.wait_for_selector(SETTLED)
    one.get_by_role("button", name="More").nth(1).click()
    one.get_by_role("button", name="Delete").first.click()
    one.get_by_text("was deleted.").first.wait_for()
    other.get_by_text("was deleted. You can restore it within a week.").first.wait_for()
    assert not other.get_by_role("button", name="Resume").count()
    keep_picture(other, "task-deleted-in-another-tab")
    other.get_by_role("button", name="Undo").first.click()
    other.get_by_text("Best validation gain").first.wait_for()
    assert runs[1].path.is_dir()
    one.get_by_text("was deleted.").first.wait_for(state="detached")


def test_scrub_four_logos_of_two_runs_together(seeds, browse):
    server, runs = seeds
    page = browse()
    page.goto(f"{server.url}/compare?run={runs[0].run_id}&run={runs[1].run_id}&tab=Over+time")
    slider = page.locator(".together .at")
    slider.wait_for()
    pictures = page.locator(".together figure img")
    assert pictures.count() == 8
    slider.focus()
    page.keyboard.press("Home")
    page.locator(".together .said").filter(has_text=re.compile("^step 0$")).wait_for()
    assert all(text.startswith("step 0 ") for text in page.locator(".together figcaption").all_inner_texts())
    page.get_by_role("button", name="Play").first.click()
    page.locator(".together .said").filter(has_text="step 96").wait_for()
    assert all(image.evaluate("e => e.decode().then(() => e.naturalWidth > 0)") for image in pictures.all())
    keep_picture(page, "task-scrub-together")
    keeps_nobody_out(page, slider)
