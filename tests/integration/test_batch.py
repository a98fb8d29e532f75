"""Pictures optimized in the background: what is unpacked, what goes wrong, and the whole way in a real browser."""

import io
import json
import time
import zipfile
from pathlib import Path

import pytest

from core.errors import RunError
from core.logos.uploads import unpack
from core.scheduling import batch
from core.scheduling.batch import BatchStatus, Request
from tests.support.browsers import FLAGS, keep_picture
from tests.support.logos import draw_logo
from tests.support.servers import serving


def png(kind: int, size: int = 48) -> bytes:
    buffer = io.BytesIO()
    draw_logo(kind, size).save(buffer, "PNG")
    return buffer.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def await_end(which: batch.Batch, timeout: float = 90.0) -> BatchStatus:
    deadline = time.monotonic() + timeout
    while which.status() is BatchStatus.WORKING:
        assert time.monotonic() < deadline, which.progress()
        time.sleep(0.05)
    return which.status()


def test_zips_are_unpacked_and_names_are_plain_and_differ(monkeypatch):
    inner = zipped({"a/logo.png": b"1", "b/logo.png": b"2", "../../etc/passwd.png": b"3", "__MACOSX/x.png": b"4", "a/": b""})
    found = dict(unpack([("logo.png", b"0"), ("logos.zip", inner), ("C:\\x\\Łódź <b>.svg", b"5")]))
    assert list(found.values()) == [b"0", b"1", b"2", b"3", b"5"]
    assert list(found)[:4] == ["logo.png", "logo-2.png", "logo-3.png", "passwd.png"]
    assert list(found)[4] == "Łódź _b_.svg"
    with pytest.raises(RunError, match=r"broken.zip can't be unpacked"):
        list(unpack([("broken.zip", b"PK nonsense")]))
    whole = zipped({"logo.png": bytes(range(256)) * 40})
    for damaged in (
        whole[:60] + bytes(200) + whole[260:],
        whole.replace(whole[70:80], b"\xff" * 10),
    ):  # its list is whole, a picture is not
        with pytest.raises(RunError, match=r"damaged.zip can't be unpacked"):
            list(unpack([("damaged.zip", damaged)]))
    monkeypatch.setattr("core.logos.uploads.MAX_FILES", 2)
    with pytest.raises(RunError, match="a batch holds 2 files"):
        list(unpack([("a.png", b""), ("b.png", b""), ("c.png", b"")]))


def test_a_batch_gives_what_the_command_gives(home):
    which = batch.start(home, [("one.png", png(1)), ("two.zip", zipped({"two.png": png(2)})), ("bad.png", b"nonsense")], Request(budget=3))
    assert await_end(which) is BatchStatus.DONE, which.problem()
    result = which.result()
    assert result["n_done"] == 2
    assert [s["file"].endswith("bad.png") for s in result["skipped"]] == [True]
    assert which.progress().n_done == which.progress().n_all == 3
    with zipfile.ZipFile(io.BytesIO(which.archive())) as archive:
        assert sorted(archive.namelist()) == ["one.svg", "optimized.csv", "two.svg"]
    more = batch.again(home, which, Request(budget=3, prefer="smaller"))
    assert await_end(more) is BatchStatus.DONE
    assert more.result()["bytes"] <= result["bytes"]
    assert [b.batch_id for b in batch.all_batches(home)] == [more.batch_id, which.batch_id]
    more.delete()
    assert not more.path.exists()


def test_a_batch_that_can_not_work_says_why(home):
    which = batch.start(home, [("one.png", png(1))], Request(model="no-such-model"))
    assert await_end(which) is BatchStatus.FAILED
    assert "no-such-model" in which.problem()
    with pytest.raises(RunError, match="no picture among these files"):
        batch.start(home, [("empty.zip", zipped({}))], Request())
    cancelled = batch.start(home, [(f"{i}.png", png(i, 256)) for i in range(30)], Request(budget=100))
    cancelled.cancel()
    assert await_end(cancelled) is BatchStatus.CANCELLED


def test_the_page_without_anything_and_with_a_batch(visit, console):
    page = visit("optimize")
    assert not page.exception
    assert "Nothing has to be trained first" in page.info[0].value
    which = batch.start(console.home, [("one.png", png(1)), ("two.png", png(2)), ("bad.png", b"x")], Request(budget=2))
    await_end(which)
    page = visit("optimize")
    assert not page.exception
    assert "bad.png was left out" in page.warning[0].value
    assert page.selectbox(key="picture").value in ("one.png", "two.png")
    page.button(key="next").click().run()
    page.segmented_control(key="pair").set_value("original | defaults").run()
    assert not page.exception
    page.segmented_control(key="prefer").set_value("smaller").run()
    page.button(key="again").click().run()
    assert not page.exception
    newest = batch.all_batches(console.home)[0]
    assert newest.request().prefer == "smaller"
    await_end(newest)
    failed = batch.start(console.home, [("one.png", png(1))], Request(model="gone"))
    await_end(failed)
    page = visit("optimize", batch=failed.batch_id)
    assert "This batch failed" in page.error[0].value
    page.button(key="delete").click().run()
    assert not failed.path.exists()


def test_samples_are_there_for_who_has_no_logos_at_hand(visit, console):
    page = visit("optimize")
    page.slider(key="budget").set_value(1).run()
    page.button(key="samples").click().run()
    assert not page.exception
    (made,) = batch.all_batches(console.home)
    assert await_end(made) is BatchStatus.DONE, made.problem()
    found = made.result()
    assert found["n_done"] == 8
    assert {Path(row["file"]).stem.split("-")[0] for row in found["results"]} == {"simple", "text", "gradient", "complex"}


@pytest.mark.browser
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
        page.get_by_role("button", name="All SVGs and the CSV").first.wait_for()
        with page.expect_download() as download:
            page.get_by_role("button", name="All SVGs and the CSV").first.click()
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
