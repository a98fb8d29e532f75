"""Pictures optimized in a browser."""

import json
import zipfile
from typing import Any

import pytest

from core.scheduling import batch, review
from tests.support.browsers import FLAGS, keep_picture, keeps_nobody_out, tab_to
from tests.support.logos import png
from tests.support.servers import serving

MOST_CLICKS = 8  # from the uploaded pictures to the zip of those that please


class Clicks:
    """Counts what a person presses."""

    def __init__(self) -> None:
        self.n = 0

    def on(self, what: Any) -> None:
        self.n += 1
        what.click()


def test_twenty_logos_become_an_accepted_zip_in_few_clicks(home, tmp_path, chromium):
    """Two results are looked at and decided otherwise, the other eighteen accepted at once."""
    from playwright.sync_api import sync_playwright

    folder = tmp_path / "mine"
    folder.mkdir()
    for i in range(20):
        (folder / f"logo {i:02d}.png").write_bytes(png(i, 48))
    with serving(home, tmp_path) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True).new_page()
        page.set_default_timeout(90_000)
        page.on("pageerror", lambda e: pytest.fail(f"script error on a page: {e}"))
        page.goto(f"{server.url}/optimize")
        page.locator("input[type=file]").set_input_files([str(path) for path in sorted(folder.iterdir())])
        page.get_by_text("logo 19.png").first.wait_for()
        clicks = Clicks()
        clicks.on(page.locator(".st-key-go button").first)
        page.get_by_text("0 of 20 accepted").first.wait_for()
        first, second = page.locator(".sheet .card").nth(0), page.locator(".sheet .card").nth(1)
        name = second.get_attribute("data-name")
        clicks.on(first.locator(".choose-defaults"))
        page.get_by_text("1 of 20 accepted").first.wait_for()
        clicks.on(second.locator(".pair"))
        page.locator(".handle").first.wait_for()
        pictures = page.locator(".pane img:not(.over)").evaluate_all("els => els.map(e => [e.naturalWidth, e.src.slice(0, 22)])")
        assert all(width > 0 and src.startswith("data:image/svg+xml") for width, src in pictures)
        assert "picture=" in page.url
        clicks.on(page.locator(".st-key-close button").first)
        page.locator(".handle").first.wait_for(state="detached")
        clicks.on(page.get_by_role("button", name="Accept the other 19").first)
        page.get_by_text("20 of 20 accepted").first.wait_for()
        keep_picture(page, "task-optimize-twenty-logos")
        with page.expect_download() as download:
            clicks.on(page.get_by_role("button", name="Accepted SVGs and CSV (20)").first)
        assert clicks.n <= MOST_CLICKS
        with zipfile.ZipFile(download.value.path()) as archive:
            names = archive.namelist()
            assert len([each for each in names if each.endswith(".svg")]) == 20
            lines = archive.read("accepted.csv").decode().splitlines()
        assert len(lines) == 21
        assert str(home) not in "".join(lines)
        assert not page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count()
        browser.close()
    (which,) = batch.all_batches(home)
    assert json.loads((which.path / "request.json").read_text())["budget"] == 10
    chosen = review.read_choices(which).chosen
    assert sorted(chosen.values()) == sorted(["defaults"] + 19 * ["best"])
    assert chosen[str(name)] == "best"


def test_logos_become_an_accepted_zip_by_keyboard_alone(home, tmp_path, browse):
    files = []
    for i in range(2):
        files.append(tmp_path / f"logo {i}.png")
        files[-1].write_bytes(png(i, 48))
    with serving(home, tmp_path) as server:
        page = browse()
        page.on("filechooser", lambda _: None)  # choosers are caught from here on; asked for at the press, that may come too late
        page.goto(f"{server.url}/optimize")
        tab_to(page, page.locator("[data-testid=stFileUploader] [data-testid^=stBaseButton]").first)
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Enter")
        chooser.value.set_files([str(file) for file in files])
        page.get_by_text("logo 1.png").first.wait_for()
        tab_to(page, page.locator(".st-key-go button").first)
        page.keyboard.press("Enter")
        page.get_by_text("0 of 2 accepted").first.wait_for()
        assert not page.locator("[data-testid=stFileUploaderFile]").count()  # the field is empty again
        tab_to(page, page.locator(".sheet .card .choose-defaults").first)
        page.keyboard.press("Enter")
        page.get_by_text("1 of 2 accepted").first.wait_for()
        tab_to(page, page.get_by_role("button", name="Accept the other 1").first)
        page.keyboard.press("Enter")
        page.get_by_text("2 of 2 accepted").first.wait_for()
        tab_to(page, page.get_by_role("button", name="Accepted SVGs and CSV (2)").first)
        with page.expect_download() as download:
            page.keyboard.press("Enter")
        with zipfile.ZipFile(download.value.path()) as archive:
            assert len([name for name in archive.namelist() if name.endswith(".svg")]) == 2
        keeps_nobody_out(page, page.locator(".sheet .card"))


def test_a_first_visit_shows_a_result_and_both_ways_in_a_small_window(home, tmp_path, browse):
    with serving(home, tmp_path) as server:
        page = browse()
        page.set_viewport_size({"width": 1440, "height": 900})
        page.goto(server.url)
        page.locator(".handle[aria-valuenow]").first.wait_for()
        for what in ("Optimize my logos", "Try 8 sample logos", "Start the quick run", "Take the tour", "Tour"):
            found = page.get_by_role("button", name=what).first
            found.wait_for()
            box = found.bounding_box()
            assert box["y"] + box["height"] <= 900, what
        cards = [page.locator(f".st-key-card-{name}").first.bounding_box() for name in ("logos", "train")]
        assert cards[0]["height"] == pytest.approx(cards[1]["height"], abs=1)
        assert cards[0]["width"] == pytest.approx(cards[1]["width"], abs=1)
        keep_picture(page, "task-first-visit")
        page.get_by_role("button", name="Take the tour", exact=True).first.click()
        page.get_by_role("heading", name="Better SVGs from logos").first.wait_for()
        assert page.locator('[data-testid="stSidebarNav"] a[style*="outline"]').count()
        page.get_by_role("button", name="Skip the tour").first.click()
        page.get_by_role("button", name="Tour", exact=True).first.click()  # found again
        page.get_by_role("heading", name="Better SVGs from logos").first.wait_for()


def test_a_batch_after_a_look_at_compare_starts_once(home, tmp_path, browse):
    """Compare's widget is bound to the address: clearing the address raised, and the batch started all the same."""
    picture = tmp_path / "mine.png"
    picture.write_bytes(png(1, 64))
    with serving(home, tmp_path) as server:
        page = browse()
        page.goto(f"{server.url}/optimize")
        page.locator("input[type=file]").set_input_files(str(picture))
        page.get_by_text("mine.png").first.wait_for()
        page.locator(".st-key-go button").first.click()
        page.locator(".card .pair").first.click()
        page.locator(".handle").first.wait_for()
        page.locator(".st-key-pair").get_by_text("original | best").first.click()
        page.wait_for_function("() => location.search.includes('pair=')")
        page.get_by_text("Pictures and settings").first.click()
        page.locator("input[type=file]").set_input_files(str(picture))
        page.get_by_text("mine.png").first.wait_for()
        page.locator(".st-key-go button").first.click()
        page.wait_for_function(
            "(first) => location.search.includes('batch=') && !location.search.includes(first)", arg=batch.all_batches(home)[0].batch_id
        )
        page.locator(".card .pair").first.wait_for()
        assert not page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count()
    assert len(batch.all_batches(home)) == 2


def test_pictures_become_a_set_by_clicks(home, tmp_path, browse):
    """From a set that is shown, filtered and looked into, to a new one: nothing of the way there is in the way."""
    files = []
    for i in range(6):
        files.append(tmp_path / f"mine {i}.png")
        files[-1].write_bytes(png(i, 64))
    with serving(home, tmp_path) as server:
        page = browse()
        page.goto(server.url)
        page.get_by_role("link", name="Logos", exact=True).first.click()
        page.get_by_role("tab", name="Make a set").first.click()
        page.get_by_role("textbox", name="Name of the set").fill("brands")
        page.locator("input[type=file]").first.set_input_files([str(path) for path in files])
        page.get_by_text("mine 5.png").first.wait_for()
        page.get_by_role("textbox", name="Name of the set").press("Tab")
        page.get_by_role("button", name="Add to set").first.click()
        page.wait_for_function("() => location.search.includes('brands')")
        page.get_by_text("mine 5").first.wait_for()
        page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        page.get_by_role("tab", name="Make a set").first.click()
        page.get_by_role("textbox", name="Name of the new set").fill("drawn")
        page.get_by_role("textbox", name="Name of the new set").press("Tab")
        each = page.get_by_role("spinbutton", name="Logos per category")
        each.fill("4")
        each.press("Enter")
        page.get_by_role("button", name="Create set").first.click()
        page.wait_for_function("() => location.search.includes('drawn')")
        page.get_by_text("complex-0").first.wait_for()
        assert not page.locator("[data-testid=stException], [data-testid=stAlertContentError]").count()
    assert sorted(path.name for path in (home / "logos").iterdir()) == ["brands", "drawn"]
    assert len(list((home / "logos" / "drawn").rglob("*.png"))) == 16
