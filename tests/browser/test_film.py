"""Films in a real browser: made on the page, and played."""

import itertools
from contextlib import suppress
from typing import Any

import pytest
from PIL import Image

from core.film.drawing import LIGHT, Painter
from core.film.encoding import FPS, LAST_S, write_film
from core.scheduling import films
from storage.films import reel_of
from tests.support.browsers import keep_picture
from tests.support.evaluated import evaluated_run, logo_name
from tests.support.servers import serving

SIX = [logo_name(k) for k in range(6)]
SEEN = """async ([video, seconds]) => {  // what it shows then, as small pixels
    if (video.currentTime !== seconds) {
        const there = new Promise((done) => video.addEventListener('seeked', done, {once: true}));
        video.currentTime = seconds;
        await there;
    }
    const canvas = Object.assign(document.createElement('canvas'), {width: 160, height: 90});
    const drawn = canvas.getContext('2d');
    drawn.drawImage(video, 0, 0, 160, 90);
    return [...drawn.getImageData(0, 0, 160, 90).data];
}"""
PLAYED = """(video) => new Promise((done, failed) => {
    video.muted = true;
    video.addEventListener('error', () => failed(video.error.message));
    video.addEventListener('timeupdate', () => video.currentTime > 0.5 && done(video.currentTime));
    video.currentTime = 0;
    video.play().catch(failed);
})"""


def pick(page: Any, box: Any, name: str) -> None:
    """Choose one more; what is typed while the box still unfolds is lost, and typed again."""
    from playwright.sync_api import TimeoutError

    option, chosen = page.get_by_role("option", name=name, exact=True), page.locator(".st-key-film-logos").get_by_text(name, exact=True)
    for _ in range(20):
        box.fill(name)
        with suppress(TimeoutError):
            option.click(timeout=1000)
            return
        if chosen.count():  # the click went through, and its answer came too late
            return
    raise AssertionError(f"{name} was never offered")


def far(a: list[int], b: list[int]) -> float:
    """Share of pixels that differ by what one sees."""
    n = len(a) // 4
    return sum(max(abs(a[4 * i + c] - b[4 * i + c]) for c in range(3)) > 24 for i in range(n)) / n


@pytest.mark.timeout(300)
def test_a_film_of_twelve_evaluations_and_six_logos_is_made_on_the_page_and_plays(home, tmp_path, browse):
    run = evaluated_run(home, 12, 6)
    with serving(home, tmp_path) as server:
        page = browse()
        page.goto(f"{server.url}/gallery?run={run.run_id}&view=Over+time&logo={logo_name(0).replace(' ', '+')}")
        page.get_by_text("Film", exact=True).click()
        chosen = page.locator(".st-key-film-logos input").first
        for name in SIX[1:]:
            pick(page, chosen, name)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Make the film").click()
        page.wait_for_function("() => document.querySelector('video')?.readyState >= 2", timeout=180_000)
        video = page.locator("video").element_handle()
        assert page.evaluate("(v) => v.duration", video) == pytest.approx(12 + LAST_S, abs=1.5 / FPS)
        assert page.evaluate(PLAYED, video) > 0.5
        page.evaluate("(v) => v.pause()", video)
        frames = [page.evaluate(SEEN, [video, n + 0.9]) for n in range(12)]
        assert all(0.002 < far(a, b) < 0.5 for a, b in itertools.pairwise(frames))
        assert far(frames[0], frames[-1]) > 0.02
        assert far(frames[-1], page.evaluate(SEEN, [video, 12 + LAST_S - 0.2])) == 0  # the last one stays
        (job,) = films.films_of(home, run)
        assert sorted(job.request().logos) == SIX
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert download.value.path().read_bytes() == job.file().read_bytes()
        page.locator("video").scroll_into_view_if_needed()
        keep_picture(page, "task-make-a-film")
        page.reload()  # the film is in the address
        page.wait_for_function("() => document.querySelector('video')?.readyState >= 2")


@pytest.mark.parametrize(("ending", "seconds"), [(".mp4", 3 * 0.4 + LAST_S), (".webm", 3 * 0.4 + LAST_S), (".webp", None), (".gif", None)])
def test_every_format_is_shown(home, tmp_path, browse, ending, seconds):
    """At its own size; white is white and grey is grey, which a video's colours are not by themselves."""
    reel = reel_of([evaluated_run(home, 3, 2)], SIX[:2], lambda *_: None)
    painter = Painter(reel)
    keys = [painter.frame(step) for step in reel.steps]
    write_film(tmp_path / f"film{ending}", iter(keys), 3, 0.4, lambda *_: None)
    kind = "video" if seconds else "img"
    (tmp_path / "page.html").write_text(f"<{kind} src='film{ending}'></{kind}>")
    page = browse()
    page.goto((tmp_path / "page.html").as_uri())
    if seconds:
        page.wait_for_function("() => document.querySelector('video').readyState >= 2")
        told = page.evaluate("() => { const v = document.querySelector('video'); return [v.videoWidth, v.videoHeight, v.duration]; }")
        assert told == [painter.width, painter.height, pytest.approx(seconds, abs=1.5 / FPS)]
    else:
        page.wait_for_function("() => document.querySelector('img').complete")
        told = page.evaluate("() => { const i = document.querySelector('img'); return [i.naturalWidth, i.naturalHeight]; }")
        assert told == [painter.width, painter.height]
    file = tmp_path / "seen.png"
    page.locator(kind).screenshot(path=str(file))
    with Image.open(file) as seen:
        red, green, blue = seen.convert("RGB").getpixel((3, 3))
    assert max(abs(a - b) for a, b in zip((red, green, blue), LIGHT.page, strict=True)) <= 4
