"""Choosing blind in a real browser: by keys and by clicks, kept, taken back, shown as a share."""

import re

from core.evaluation import choices
from tests.support.browsers import keep_picture
from tests.support.servers import serving


def test_two_methods_are_chosen_between_blind_by_keys_and_by_clicks(recordings, home, tmp_path, browse):
    run = recordings.tiny(home)
    with serving(home, tmp_path) as server:
        server.await_read(run.events_file.stat().st_size)
        page = browse()
        page.goto(server.url)
        page.get_by_role("link", name="Choose", exact=True).click()
        page.get_by_text("Which one is closer to the original?").first.wait_for()

        def answered(n: int) -> None:
            page.get_by_text(re.compile(rf"^{n} of \d+ pictures answered")).first.wait_for()
            page.locator('.ch[aria-busy="false"]').wait_for()

        answered(0)
        for title in ("VTracer's defaults", run.run_id):  # nothing in the frames says which is which
            assert page.locator(".ch").get_by_text(title).count() == 0
        assert page.locator(".ch .stage img").count() == 3
        for n, key in enumerate(("ArrowLeft", "ArrowDown", "ArrowRight"), start=1):
            page.keyboard.press(key)
            answered(n)
        rows = choices.read(home).rows
        sides = [{"a": "b", "b": "a"}[row.left] if n == 2 else row.left for n, row in enumerate(rows)]
        assert [rows[0].answer, rows[1].answer, rows[2].answer] == [sides[0], "equal", sides[2]]
        assert {(row.a, row.b, row.source) for row in rows} == {(run.run_id, "defaults", f"run/{run.run_id}")}
        assert len({row.digest for row in rows}) == 3
        page.get_by_role("button", name="undo", exact=True).click()
        answered(2)
        assert choices.read(home).rows == rows[:2]
        page.get_by_role("button", name="right →", exact=True).click()
        answered(3)
        page.get_by_text("Show results").click()
        page.get_by_text(re.compile("was preferred in")).wait_for()
        keep_picture(page, "choose")
        page.reload()
        answered(3)
