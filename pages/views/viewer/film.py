"""The gallery's films: asked for in a line of choices, made by a process of their own, shown and downloaded."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast, get_args

import streamlit as st

from core.errors import RunError
from core.runs.run_dir import RunDir
from core.scheduling import films
from core.scheduling.films import FilmJob, Request
from core.scheduling.job import JobStatus
from pages.server.service import Console
from pages.views import downloads
from pages.views.access import acts
from pages.views.buttons import button
from pages.views.links import choose, write_address
from pages.views.shell import say, show_toasts
from pages.views.text import bytes_text, duration_text, plain

MIMES = {".mp4": "video/mp4", ".webm": "video/webm", ".webp": "image/webp", ".gif": "image/gif"}
MAX_LOGOS, MAX_BESIDE, MAX_PICTURES = 12, 3, 16  # what a film may show
NAMES = {".mp4": "MP4", ".webm": "WebM", ".webp": "WebP", ".gif": "GIF"}
N_PROBLEMS = 4
LEAST_WIDTH = 560  # pixels


def panel(console: Console, run: RunDir, name: str, names: Sequence[str], others: dict[str, str]) -> None:
    """``name``: the logo that the page is at; ``names``: all of the evaluation; ``others``: {run id: name} of runs that may stand beside."""
    made = films.films_of(console.home, run)
    with st.expander("Film", icon=":material/movie:", expanded=bool(made)):
        _form(console, run, name, names, others)
        if not made:
            st.caption("The SVGs of the chosen logos at every evaluation, with gain and parameters, as one film.")
            return
        job = made[0]
        if len(made) > 1:
            by_id = {each.film_id: each for each in made}
            job = by_id[choose("Films of this run", list(by_id), "film", show=lambda i: _label(by_id[i]), width=460)]
        _shown(job)


def _form(console: Console, run: RunDir, name: str, names: Sequence[str], others: dict[str, str]) -> None:
    with st.grid(2, min_column_width=260):
        logos = st.multiselect("Logos", names, default=[name], key="film.logos", max_selections=MAX_LOGOS)
        beside = st.multiselect(
            "Compare with", list(others), format_func=lambda i: f"{others[i]}  ·  {i}", key="film.beside", max_selections=MAX_BESIDE,
            placeholder="other runs, in step", disabled=not others,
        )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        endings = get_args(films.Ending)
        ending = st.segmented_control(
            "As", endings, default=".mp4", format_func=lambda e: NAMES[e], key="film.ending", required=True,
            help="MP4 and WebM use VP9, which browsers and most players support. WebP and GIF are animated pictures for web pages and slides.",
        )  # fmt: skip
        theme = "dark" if st.context.theme.type == "dark" else "light"
        ground = st.segmented_control("Background", ("light", "dark"), default=theme, key="film.ground", required=True)
        seconds = st.number_input("Seconds per evaluation", 0.2, 10.0, 1.0, 0.2, key="film.seconds", width=170)
        n_pictures = len(logos) * (1 + len(beside))
        request = Request([run.run_id, *beside], list(logos), cast(films.Ending, ending), float(seconds), ground == "dark")
        if button("Make the film", does="film.make", icon=":material/movie:", key="film.make", disabled=not 0 < n_pictures <= MAX_PICTURES):
            _make(console, request)
    if n_pictures > MAX_PICTURES:
        st.caption(f"{n_pictures} pictures side by side; a film can show at most {MAX_PICTURES}.")


@acts("film.make", is_drawn=True)
def _make(console: Console, request: Request) -> None:
    try:
        job = films.start(console.home, request)
    except (RunError, OSError) as error:
        st.error(plain(f"The film could not be started: {error}"))
        return
    write_address(film=job.film_id)
    st.rerun()


def _label(job: FilmJob) -> str:
    request, stamp = job.request(), job.film_id
    when = f"{stamp[9:11]}:{stamp[11:13]}:{stamp[13:15]}, {stamp[:4]}-{stamp[4:6]}-{stamp[6:8]}"
    if request is None:
        return when
    runs = f", {len(request.runs)} runs" if len(request.runs) > 1 else ""
    return f"{when}  ·  {NAMES[request.ending]}, {len(request.logos)} logo{'s' if len(request.logos) > 1 else ''}{runs}"


def _shown(job: FilmJob) -> None:
    status = job.status()
    if status is JobStatus.WORKING:
        _working(job)
        return
    file, result = job.file(), job.result()
    if status is JobStatus.DONE and file is not None and result is not None:
        _film(job, file, result)
    elif status is JobStatus.CANCELLED:
        st.info("This film was cancelled.")
    else:
        st.error(plain(f"This film failed: {job.problem() or 'its process was killed'}"))
    with st.container(horizontal=True):
        if status is JobStatus.DONE and file is not None:
            downloads.button(
                f"Download ({bytes_text(file.stat().st_size)})", file.read_bytes, f"{job.request().runs[0]}{file.suffix}",  # type: ignore[union-attr]
                MIMES[file.suffix], icon=":material/download:", type="primary", key="film.download",
            )  # fmt: skip
        button("Delete", icon=":material/delete:", key=f"film.delete.{job.film_id}", on_click=_delete, args=(job,))


def _film(job: FilmJob, file: Path, result: dict[str, Any]) -> None:
    width = max(int(result["width"]), LEAST_WIDTH)  # or as much as there is: a small one drawn over the whole page is a blur
    if file.suffix in (".mp4", ".webm"):
        st.video(str(file), format=MIMES[file.suffix], loop=True, width=width)
    else:
        url = f"data:{MIMES[file.suffix]};base64,{base64.b64encode(file.read_bytes()).decode()}"
        st.image(url, width=width, alt=f"Film of {', '.join(result['logos'])}")
    left_out = f"; {result['evaluations_left_out']} in between skipped" if result["evaluations_left_out"] else ""
    st.caption(f"{result['evaluations']} evaluations{left_out}, {result['seconds']:.0f} s, {result['width']} × {result['height']} pixels.")
    problems = [f"{p['logo']} at step {p['step']:,}: {p['word']}" for p in result["problems"] if {"logo", "step", "word"} <= set(p)]
    if problems:
        more = f"; and {len(problems) - N_PROBLEMS} more" if len(problems) > N_PROBLEMS else ""
        st.warning(plain(f"Some pictures could not be shown. {'; '.join(problems[:N_PROBLEMS])}{more}."))


@st.fragment(run_every="1s")
def _working(job: FilmJob) -> None:
    show_toasts()
    if job.status() is not JobStatus.WORKING:
        st.rerun()
    now = job.progress()
    left = f", about {duration_text(now.left_s / 60)} left" if now.left_s is not None and now.left_s >= 1 else ""
    share = now.n_done / now.n_all if now.n_all else 0.0
    st.progress(min(share, 1.0), text=f"{now.what}: {now.n_done} of {now.n_all}{left}" if now.n_all else now.what.capitalize())
    button("Cancel", icon=":material/close:", key=f"film.cancel.{job.film_id}", on_click=_cancel, args=(job,))


@acts("film.cancel")
def _cancel(job: FilmJob) -> None:
    job.cancel()


@acts("film.delete")
def _delete(job: FilmJob) -> None:
    job.delete()
    write_address(film="")
    say("Deleted")
