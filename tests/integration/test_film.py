"""Films made in the background: what the page offers, how a film goes, and how it fails."""

import json
import shutil

import pytest
from PIL import Image

from core.cli.app import app
from core.scheduling import films
from core.scheduling.films import Request
from core.scheduling.job import JobStatus
from tests.support.batches import await_end
from tests.support.evaluated import EVERY, digest_of, evaluated_run
from tests.support.pages import caught_up, texts


@pytest.fixture
def run(home):
    return evaluated_run(home, 3, 4)


def test_a_film_is_made_in_the_background(home, run):
    job = films.start(home, Request([run.run_id], ["logo 2", "logo 0"], ".webp", 0.4, is_dark=True))
    assert await_end(job) is JobStatus.DONE, job.problem()
    assert job.file().stat().st_size == job.result()["bytes"]
    assert job.result()["logos"] == ["logo 2", "logo 0"]
    assert job.progress().n_done == job.progress().n_all
    assert [found.film_id for found in films.films_of(home, run)] == [job.film_id]
    assert films.films_of(home, evaluated_run(home, 1, 1, "other")) == []
    (job.path / "result.json").write_text("{}")
    assert job.status() is JobStatus.FAILED
    (job.path / "request.json").write_text("nonsense")
    assert films.films_of(home, run) == []
    assert "delete the film and start it again" in job.problem_with_files()
    job.delete()
    assert not job.path.exists()


def test_a_film_that_can_not_be_made_says_why(home, run):
    job = films.start(home, Request([run.run_id], ["no such logo"]))
    assert await_end(job) is JobStatus.FAILED
    assert "no logo 'no such logo' was evaluated" in job.problem()
    cancelled = films.start(home, Request([run.run_id], ["logo 1"], seconds=10))
    cancelled.cancel()
    assert await_end(cancelled) is JobStatus.CANCELLED


def test_the_gallery_makes_shows_and_deletes_films(visit, console, run):
    caught_up(console, run)
    run.svg_file(EVERY, digest_of(1)).unlink()
    page = visit("gallery", run=run.run_id, view="Over time", logo="logo 1")
    assert not page.exception
    assert page.multiselect(key="film.logos").value == ["logo 1"]
    page.segmented_control(key="film.ending").set_value(".gif").run()
    page.button(key="film.make").click().run()
    assert not page.exception
    (job,) = films.films_of(console.home, run)
    assert await_end(job) is JobStatus.DONE, job.problem()
    assert job.request() == Request([run.run_id], ["logo 1"], ".gif")
    page = visit("gallery", run=run.run_id, view="Over time")
    assert not page.exception
    assert "3 evaluations, 4 s" in texts(page)
    assert "logo 1 at step 1,024\\: missing" in texts(page)  # as it is shown: no colon may begin one of Streamlit's icons
    page.button(key=f"film.delete.{job.film_id}").click().run()
    assert not page.exception
    assert films.films_of(console.home, run) == []


def test_the_gallery_says_why_a_film_failed(visit, console, run):
    caught_up(console, run)
    job = films.start(console.home, Request([run.run_id, "gone"], ["logo 1"]))
    await_end(job)
    page = visit("gallery", run=run.run_id, view="Over time")
    assert not page.exception
    assert "no run 'gone'" in texts(page)
    shutil.rmtree(job.path)
    assert not visit("gallery", run=run.run_id, view="Over time", film="none").exception


def test_the_command_tells_what_it_made(home, tmp_path, capsys):
    run = evaluated_run(home, 3)
    run.svg_file(EVERY, digest_of(4)).unlink()
    out, progress = tmp_path / "films" / "film.webp", tmp_path / "progress.json"
    with pytest.raises(SystemExit) as ended:
        app(["film", str(run.path), "--logos", "logo 4,logo 0", "--out", str(out), "--json", "--progress-file", str(progress), "--dark"])
    assert ended.value.code == 0
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert data["problems"] == [{"run": "evaluated", "logo": "logo 4", "step": EVERY, "word": "missing"}]
    assert (data["evaluations"], data["logos"], data["bytes"]) == (3, ["logo 4", "logo 0"], out.stat().st_size)
    with Image.open(out) as film:
        assert (film.n_frames, film.size) == (3, (data["width"], data["height"]))
    assert json.loads(progress.read_text())["what"] == "writing .webp"
