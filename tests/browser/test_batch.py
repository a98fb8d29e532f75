"""Pictures optimized in a browser."""

import json
import zipfile

import pytest

from core.scheduling import batch
from tests.support.browsers import FLAGS, keep_picture
from tests.support.logos import png
from tests.support.servers import serving


def test_twenty_logos_are_optimized_and_taken_home_in_a_browser(home, tmp_path, chromium):
    from playwright.sync_api import sync_playwright

    folder = tmp_path / "mine"
    folder.mkdir()
    for i in range(20):
        (folder / f"logo {i:02d}.png").write_bytes(png(i, 96))
    with serving(home, tmp_path) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True).new_page()
        page.set_default_timeout(90_000)
        page.on("pageerror", lambda e: pytest.fail(f"script error on a page: {e}"))
        page.goto(f"{server.url}/optimize")
        page.locator("input[type=file]").set_input_files([str(path) for path in sorted(folder.iterdir())])
        page.get_by_text("logo 19.png").first.wait_for()
        page.get_by_role("button", name="Optimize").first.click()
        page.get_by_role("button", name="All SVGs and CSV").first.wait_for()
        with page.expect_download() as download:
            page.get_by_role("button", name="All SVGs and CSV").first.click()
        with zipfile.ZipFile(download.value.path()) as archive:
            names = archive.namelist()
            assert len([name for name in names if name.endswith(".svg")]) == 20
            lines = archive.read("optimized.csv").decode().splitlines()
        assert len(lines) == 21
        page.locator(".handle").first.wait_for()
        keep_picture(page, "task-optimize-twenty-logos")
        pictures = page.locator(".pane img:not(.over)").evaluate_all("els => els.map(e => [e.naturalWidth, e.src.slice(0, 22)])")
        assert all(width > 0 and src.startswith("data:image/svg+xml") for width, src in pictures)
        browser.close()
    (which,) = batch.all_batches(home)
    assert json.loads((which.path / "request.json").read_text())["budget"] == 10


def test_a_batch_after_a_look_at_compare_starts_once(home, tmp_path, browse):
    """Compare's widget is bound to the address: clearing the address raised, and the batch started all the same."""
    picture = tmp_path / "mine.png"
    picture.write_bytes(png(1, 64))
    with serving(home, tmp_path) as server:
        page = browse()
        page.goto(f"{server.url}/optimize")
        page.locator("input[type=file]").set_input_files(str(picture))
        page.get_by_text("mine.png").first.wait_for()
        page.get_by_role("button", name="Optimize").first.click()
        page.locator(".handle").first.wait_for()
        page.locator(".st-key-pair").get_by_text("original | best").first.click()
        page.wait_for_function("() => location.search.includes('pair=')")
        page.get_by_role("button", name="Optimize").first.click()
        page.wait_for_function(
            "(first) => location.search.includes('batch=') && !location.search.includes(first)", arg=batch.all_batches(home)[0].batch_id
        )
        page.locator(".handle").first.wait_for()
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
