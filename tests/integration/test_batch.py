"""Pictures optimized in the background: what is unpacked, what goes wrong, and the whole way in a real browser."""

import io
import time
import zipfile

import pytest

from core.errors import RunError
from core.scheduling import batch, review
from core.scheduling.batch import BatchStatus, Request
from core.tracing.palette import colours_of
from tests.support.batches import await_end
from tests.support.logos import png, zipped


def test_a_batch_gives_what_the_command_gives(home):
    files = [("one.png", png(1)), ("two.zip", zipped({"two.png": png(2)})), ("bad.png", b"nonsense"), ("cut.png", png(3)[:200])]
    which = batch.start(home, files, Request(budget=3))
    assert await_end(which) is BatchStatus.DONE, which.problem()
    result = which.result()
    assert result["n_done"] == 2
    assert [item.given for item in which.intake().refused] == ["bad.png"]  # by its first bytes; the other when it is read
    assert [s["file"].endswith("cut.png") for s in result["skipped"]] == [True]
    assert which.progress().n_done == which.progress().n_all >= 3
    with zipfile.ZipFile(io.BytesIO(review.archive(which, only_accepted=False))) as archive:
        assert sorted(archive.namelist()) == ["one.svg", "optimized.csv", "two.svg"]
    one = review.items(which)[0]
    assert b"<svg" in one.versions[review.DEFAULTS].read()
    assert one.versions[review.DEFAULTS].figures.get("bytes", one.row["bytes"]) == one.row["bytes_default"]
    more = batch.again(home, which, Request(budget=3, prefer="smaller", brand="#112233, #fff", background="remove"))
    assert await_end(more) is BatchStatus.DONE
    for item in review.items(more):
        assert set(colours_of(item.versions[review.BEST].path.read_text())) <= {"#112233", "#ffffff"}
    assert [b.batch_id for b in batch.all_batches(home)] == [more.batch_id, which.batch_id]
    assert more.intake() == which.intake()
    assert sorted(path.name for path in (home / "batches").iterdir()) == sorted([more.batch_id, which.batch_id])
    more.delete()
    assert not more.path.exists()


def test_a_batch_that_can_not_work_says_why(home):
    which = batch.start(home, [("one.png", png(1))], Request(model="no-such-model"))
    assert await_end(which) is BatchStatus.FAILED
    assert "no-such-model" in which.problem()
    with pytest.raises(RunError, match="these files contain no pictures"):
        batch.start(home, [("empty.zip", zipped({}))], Request())
    assert list((home / "batches").iterdir()) == [which.path]  # nothing is left of it
    cancelled = batch.start(home, [(f"{i}.png", png(i, 256)) for i in range(30)], Request(budget=100))
    cancelled.cancel()
    assert await_end(cancelled) is BatchStatus.CANCELLED


def test_the_page_without_anything_and_with_a_batch(visit, console):
    page = visit("optimize")
    assert not page.exception
    assert "No training needed" in page.info[0].value
    which = batch.start(console.home, [("one.png", png(1)), ("two.png", png(2)), ("$bad$ *x*.png", b"x")], Request(budget=2))
    await_end(which)
    page = visit("optimize")
    assert not page.exception
    assert "**2 files taken, 1 refused.**" in page.warning[0].value
    assert r"\$bad\$ \*x\*.png: its content is no picture" in page.warning[0].value
    page.query_params["picture"] = "one.svg"
    page.run()
    assert page.selectbox(key="picture.open").value == "one.svg"
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
    assert visit("optimize").button(key=f"restore.{failed.batch_id}")  # in another tab, or after a reload
    page.button(key="undo.button").click().run()
    assert failed.path.exists()
    page = visit("optimize", batch="gone")
    assert "There is no batch gone" in page.warning[0].value


def test_samples_are_there_for_who_has_no_logos_at_hand(visit, console):
    page = visit("optimize")
    page.slider(key="budget").set_value(1).run()
    page.button(key="samples").click().run()
    assert not page.exception
    (made,) = batch.all_batches(console.home)
    given = sorted(path.stem.split("-")[0] for path in made.pictures.iterdir())
    assert given == sorted(2 * ["simple", "text", "gradient", "complex"])
    deadline = time.monotonic() + 60
    while not made.progress().n_done:  # the first is done; a batch to its end is in the tests above
        assert made.status() is BatchStatus.WORKING, made.problem()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    made.cancel()
    assert await_end(made) is BatchStatus.CANCELLED
