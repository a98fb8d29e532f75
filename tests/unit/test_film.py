"""Films of runs: what is on a frame, what a damaged picture costs, what is written, and what is refused."""

from __future__ import annotations

import json
import math
import shutil
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageSequence

from core.cli.app import app
from core.errors import FilmError, RunError
from core.film import drawing, encoding
from core.film.drawing import DARK, LIGHT, Painter
from core.film.encoding import FADE_S, FPS, LAST_S, write_film
from core.film.reel import DAMAGED, EMPTY, MISSING, Line, Reel, Take, Track, key_steps, span, spread
from core.runs.run_dir import RunDir
from storage.films import reel_of
from tests.support.evaluated import EVERY, digest_of, evaluated_run, logo_name


def nothing(*_: object) -> None:
    pass


def reel(*runs: RunDir, logos: tuple[str, ...] = ()) -> Reel:
    return reel_of(runs, logos, nothing)


def card(frame: np.ndarray, place: int, n_columns: int) -> np.ndarray:
    """The part of a frame that a logo's card takes."""
    row, column = divmod(place, n_columns)
    wide, high, gap = drawing._CARD_WIDTH, drawing._CARD_HEIGHT, drawing._GAP
    left, top = gap + column * (wide + gap), drawing._HEADER + row * (high + gap)
    scale = frame.shape[1] / (n_columns * (wide + gap) + gap)
    return frame[round(top * scale) : round((top + high) * scale), round(left * scale) : round((left + wide) * scale)]


def changed_cards(a: np.ndarray, b: np.ndarray, n: int = 6, n_columns: int = 3) -> list[int]:
    return [place for place in range(n) if (card(a, place, n_columns) != card(b, place, n_columns)).any()]


def test_key_frames_are_in_order_and_the_first_and_the_last_are_among_them():
    assert key_steps([30, 10, 20, 10]) == (10, 20, 30)
    few = key_steps(range(1000), 7)
    assert len(few) == len(set(few)) == 7
    assert (few[0], few[-1]) == (0, 999)
    assert spread(["a", "b", "c", "d", "e"], 3) == ["a", "c", "e"]
    assert spread(["a", "b"], 3) == ["a", "b"]


def test_a_failed_trace_does_not_flatten_the_curves():
    assert span([-3.0, 0.5, math.nan]) == (-1.0, 0.5)
    assert span([]) == (0.0, 0.1)


def test_a_film_of_twelve_evaluations_and_six_logos(home):
    found = reel(evaluated_run(home))
    assert found.steps == tuple(EVERY * n for n in range(1, 13))
    assert [track.logo for track in found.tracks] == [logo_name(k) for k in range(6)]  # from the smallest to the largest gain
    painter = Painter(found)
    first, last = painter.frame(found.steps[0]), painter.frame(found.steps[-1])
    assert first.shape == (painter.height, painter.width, 3)
    assert painter.width % 2 == painter.height % 2 == 0
    assert changed_cards(first, last) == [0, 1, 2, 3, 4, 5]
    assert not found.problems


def test_both_grounds(home):
    found = reel(evaluated_run(home, 2, 2))
    assert tuple(Painter(found).frame(found.steps[0])[0, 0]) == LIGHT.page
    assert tuple(Painter(found, is_dark=True).frame(found.steps[0])[0, 0]) == DARK.page


@pytest.mark.parametrize("n_logos", [1, 2, 3, 4, 5, 7, 9, 11, 16])
def test_the_sizes_of_a_film_are_even_and_fit_a_screen(home, n_logos):
    found = reel(evaluated_run(home, 1, n_logos), logos=tuple(logo_name(k) for k in range(n_logos)))
    painter = Painter(found)
    assert painter.width % 2 == painter.height % 2 == 0
    assert 640 <= painter.width <= 1920
    assert painter.frame(found.steps[0]).shape == (painter.height, painter.width, 3)


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (None, MISSING), (b"", DAMAGED), (b"\x00\xff nonsense", DAMAGED), (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>', EMPTY), ("cut", DAMAGED), ("folder", DAMAGED),
        (b'<svg xmlns="http://www.w3.org/2000/svg" width="1e30" height="1"></svg>', EMPTY),
    ],
)  # fmt: skip
def test_a_damaged_picture_costs_its_own_card_alone(home, content, word):
    run = evaluated_run(home, 3)
    whole = Painter(reel(run)).frame(2 * EVERY)
    file = run.svg_file(2 * EVERY, digest_of(1))
    svg = file.read_bytes()
    file.unlink()
    if content == "folder":
        file.mkdir()
    elif content is not None:
        file.write_bytes(svg[: len(svg) // 2] if content == "cut" else content)
    found = reel(run)
    painter = Painter(found)
    assert changed_cards(whole, painter.frame(2 * EVERY)) == [1]
    painter.frame(2 * EVERY)  # told once, however often it is drawn
    assert [(p.logo, p.step, p.word) for p in found.problems] == [(logo_name(1), 2 * EVERY, word)]


def test_what_the_log_says_of_a_failed_trace_stands_in_its_place(home):
    run = evaluated_run(home, 3)
    text = run.events_file.read_text().splitlines()
    for n, line in enumerate(text):
        event = json.loads(line)
        if event["kind"] == "evaluated" and event["data"]["logo"] == logo_name(2) and event["step"] == EVERY:
            event["data"] |= {"failure": "blank", "svg": "", "gain": -3.0}
        if event["kind"] == "evaluated" and event["data"]["logo"] == logo_name(3) and event["step"] == EVERY:
            event["data"] |= {"svg": "../../elsewhere.svg", "gain": None, "ssim": None}
        text[n] = json.dumps(event)
    run.events_file.write_text("\n".join(text) + "\n")
    found = reel(run)
    Painter(found).frame(EVERY)
    assert {(p.logo, p.word) for p in found.problems} == {(logo_name(2), "trace failed: blank"), (logo_name(3), DAMAGED)}


def test_a_run_without_its_original_pictures_is_filmed_all_the_same(home):
    run = evaluated_run(home, 2)
    run.picture_file(digest_of(0)).write_bytes(b"no picture")
    found = reel(run)
    with_damage = Painter(found).frame(EVERY)
    shutil.rmtree(run.pictures)
    assert changed_cards(with_damage, Painter(reel(run)).frame(EVERY)) == [1, 2, 3, 4, 5]
    assert not found.problems


def test_runs_stand_side_by_side_at_the_same_step(home):
    fast, slow = evaluated_run(home, 12, 3, "fast"), evaluated_run(home, 3, 2, "slow", every=4000)
    found = reel(fast, slow, logos=("logo 1,logo 2",))
    assert found.n_columns == 2
    assert [(track.line, track.logo) for track in found.tracks] == [(0, "logo 1"), (1, "logo 1"), (0, "logo 2"), (1, "logo 2")]
    assert found.steps == tuple(sorted({EVERY * n for n in range(1, 13)} | {4000, 8000, 12000}))
    assert found.tracks[1].at(EVERY) is None
    assert [found.tracks[0].at(8000).step, found.tracks[1].at(9000).step] == [7 * EVERY, 8000]
    assert found.tracks[3].takes == ()  # the slow one has two logos
    frames = [Painter(found).frame(step) for step in (EVERY, 4000, 8000)]
    assert [1 in changed_cards(a, b, 4, 2) for a, b in pairwise(frames)] == [True, True]
    assert [3 in changed_cards(a, b, 4, 2) for a, b in pairwise(frames)] == [False, False]
    assert not found.problems  # what is not yet there, or never was, is none


def test_a_white_logo_on_nothing_stands_on_the_dark_ground():
    white, clear = np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8, 4), np.uint8)
    white[2:6, 2:6] = 255
    clear[2:6, 2:6] = (20, 20, 20, 255)
    assert drawing._share_lost(white, LIGHT.card) == drawing._share_lost(clear, DARK.card) == 1.0
    assert drawing._share_lost(white, DARK.card) == drawing._share_lost(clear, LIGHT.card) == 0.0


def made_up(n: int) -> list[np.ndarray]:
    """Frames that differ in all pixels."""
    return [np.full((64, 96, 3), (40 * k, 255 - 40 * k, 90), np.uint8) for k in range(n)]


def test_a_folder_that_takes_no_file_is_no_missing_encoder():
    folder = Path("/proc")  # where root too may make nothing
    with pytest.raises(OSError, match=r"denied|No such file|Read-only"):
        write_film(folder / "film.webm", iter(made_up(2)), 2, 0.5, lambda *_: None)


@pytest.mark.parametrize("ending", [".mp4", ".webm"])
def test_a_video_has_its_key_frames_in_time(tmp_path, ending):
    told: list[tuple[str, int, int]] = []
    keys = made_up(4)
    made = write_film(tmp_path / f"film{ending}", iter(keys), 4, 1.0, lambda *now: told.append(now))
    assert made.seconds == pytest.approx(4 + LAST_S)
    assert told[-1] == ("frames", made.n_frames, made.n_frames)
    video = cv2.VideoCapture(str(tmp_path / f"film{ending}"))
    frames = []
    while (read := video.read())[0]:
        frames.append(cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB))
    video.release()
    assert len(frames) == made.n_frames == round((4 + LAST_S) * FPS)
    for k, key in enumerate(keys):
        end_of_fade = round((k + (FADE_S if k else 0)) * FPS) + 1
        for frame in (frames[end_of_fade], frames[(k + 1) * FPS - 1]):
            assert np.abs(frame.astype(int) - key).mean() < 8
    halfway = frames[FPS + 1].mean(axis=(0, 1))
    assert keys[0][0, 0, 0] < halfway[0] < keys[1][0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == [f"film{ending}"]


@pytest.mark.parametrize("ending", [".webp", ".gif", ".GIF"])
def test_a_moving_picture_has_every_key_frame(tmp_path, ending):
    made = write_film(tmp_path / "new" / f"film{ending}", iter(made_up(4)), 4, 0.5, nothing)
    assert (made.n_frames, made.seconds) == (4, 0.5 * 4 + LAST_S)
    with Image.open(tmp_path / "new" / f"film{ending}") as film:
        assert film.n_frames == 4
        assert film.info.get("loop", 0) == 0
        lasts, means = [], []
        for frame in ImageSequence.Iterator(film):
            means.append(np.asarray(frame.convert("RGB")).mean(axis=(0, 1)))
            lasts.append(frame.info["duration"])
    assert np.abs(np.array(means) - [key[0, 0] for key in made_up(4)]).max() < 6
    assert lasts == [500, 500, 500, 2000]


def test_a_film_that_breaks_off_leaves_the_file_that_was_there(tmp_path):
    file = tmp_path / "film.mp4"
    file.write_bytes(b"the one before")

    def breaking():
        yield made_up(1)[0]
        raise OSError("gone")

    for path in (file, tmp_path / "film.gif"):
        with pytest.raises(OSError, match="gone"):
            write_film(path, breaking(), 3, 1.0, nothing)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("film.mp4", b"the one before")]


def test_a_video_that_was_cut_short_is_found_out(tmp_path):
    file = tmp_path / "film.mp4"
    write_film(file, iter(made_up(3)), 3, 1.0, nothing)
    with pytest.raises(FilmError, match="the disk full"):
        encoding._check(file, 400)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(FilmError, match="contains only 0 of 54 frames"):
        encoding._check(file, 54)


def test_without_an_encoder_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(encoding.VIDEOS, ".mp4", "none")
    with pytest.raises(FilmError, match=r"can't encode VP9.*give a file that ends in \.webp or \.gif"):
        write_film(tmp_path / "film.mp4", iter(made_up(2)), 2, 1.0, nothing)
    assert not list(tmp_path.iterdir())


def test_too_much_for_a_moving_picture_is_refused_before_it_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(encoding, "MAX_PICTURE_PIXELS", 64 * 96 * 3)
    with pytest.raises(FilmError, match=r"4 evaluations are too many for \.gif, at most 3"):
        write_film(tmp_path / "film.gif", iter(made_up(4)), 4, 1.0, nothing)


def test_what_can_not_be_filmed_is_refused_with_what_there_is(home):
    run = evaluated_run(home, 2)
    with pytest.raises(RunError, match=r"no logo 'logo 77' was evaluated in .*; 6 are available, such as logo"):
        reel(run, logos=("logo 1, logo 77",))
    many = evaluated_run(home, 1, 17, "many")
    with pytest.raises(RunError, match="17 logos of 1 run are 17 pictures side by side; a film shows at most 16"):
        reel(many, logos=tuple(logo_name(k) for k in range(17)))
    with pytest.raises(RunError, match="5 runs are too many"):
        reel(*[evaluated_run(home, 1, 1, f"n{k}") for k in range(5)])
    without = evaluated_run(home, 2, 2, "without")
    without.events_file.write_text(without.events_file.read_text().replace('"svg":"evaluations', '"svg":"","was":"'))
    with pytest.raises(RunError, match=r"no SVG of .* was kept"):
        reel(without)


def test_a_name_with_a_comma_is_one_logo(home):
    run = evaluated_run(home, 2, 2)
    run.events_file.write_text(run.events_file.read_text().replace('"logo 1"', '"one, two"'))
    assert [track.logo for track in reel(run, logos=("one, two", "logo 0")).tracks] == ["one, two", "logo 0"]


def test_names_in_other_scripts_and_without_end_are_drawn(home):
    take = Take(1, 0.5, 0.9, 100, (math.nan,) * 10, None, "not kept")
    names = ("清风标志", "Логотип é ü", "\x07\n\t\x1b[0m", "", "n" * 3000, "🦊")
    found = Reel((Line("r" * 500, ((1, math.nan),)),), tuple(Track(0, name, (take,)) for name in names), (1,), 1)
    frame = Painter(found).frame(1)
    cards = [card(frame, place, 3) for place in range(6)]
    assert (cards[0] != cards[1]).any()
    assert [p.word for p in found.problems] == ["not kept"] * 6


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing", "--out", "a.mp4"], "no run 'nothing'"),
        (["nothing", "--out", "a.avi"], "--out 'a.avi' does not end in one of .mp4, .webm, .webp, .gif"),
        (["nothing", "--out", "a.mp4", "--seconds", "60"], "--seconds 60 is not in [0.2, 10]"),
        (["nothing", "--out", "a.mp4", "--seconds", "nan"], "--seconds nan is not in [0.2, 10]"),
        (["nothing"], "Missing option"),
    ],
)
def test_bad_input_is_one_clear_line(arguments, told, capsys):
    with pytest.raises(SystemExit) as ended:
        app(["film", *arguments])
    err = capsys.readouterr().err
    assert (ended.value.code, told in err, "Traceback" in err) == (2, True, False), err
