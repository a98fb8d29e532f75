"""What is looked at by hand: statistics and differences of an SVG, commands to copy, sets, favourites, curricula, replay, trash."""

import io
import zipfile

import numpy as np
import pytest

from core.config.config import CurriculumConfig
from core.curriculum import library
from core.curriculum.replay import replay
from core.errors import ConfigError, LogosError, RunError
from core.logos import favourites, sets
from core.logos.dataset import load_logos
from core.logos.favourites import Favourite
from core.logos.similar import near_duplicates, perceptual_hash
from core.runs import trash
from core.runs.records import claim, read_config
from core.runs.run_dir import all_runs
from core.tracing.params import BEST_SINGLE, DEFAULTS, Params
from core.tracing.picture import Picture, decode_png
from core.tracing.pipeline import MODES
from core.tracing.raster import rasterizer
from core.tracing.snippets import as_command, as_python
from core.tracing.svg_stats import DIFFERENCES, difference, outlines, svg_stats
from tests.support.logos import draw_logo
from tests.support.runs import tiny_config


def pixels(kind: int = 1, size: int = 64) -> np.ndarray:
    return np.asarray(draw_logo(kind, size))


def png(kind: int, size: int = 64) -> bytes:
    buffer = io.BytesIO()
    draw_logo(kind, size).save(buffer, "PNG")
    return buffer.getvalue()


def test_svg_stats_count_what_is_in_the_svg():
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10">'
        '<path d="M0 0 L10 0 L10 10 L0 10 Z " fill="#FFFFFF" transform="translate(0,0)"/>'
        '<path d="M0 0 C1 0 2 0 5 0 L5 10 L0 10 Z " fill="#ff0000" transform="translate(5,0)"/></svg>'
    )
    found = svg_stats(svg, 10, 10)
    assert (found.n_paths, found.n_nodes, found.n_bytes) == (2, 8, len(svg))
    assert {(s.colour, s.n_paths) for s in found.palette} == {("#ffffff", 1), ("#ff0000", 1)}
    assert [s.share for s in found.palette] == pytest.approx([0.5, 0.5], abs=0.06)
    overlay = outlines(svg, 10, 10)
    assert "M10 0h0" in overlay  # a node of the second path, moved by its translation
    assert rasterizer().draw(overlay.encode(), 40, 40).min() < 200  # something is drawn
    assert svg_stats("<svg><path d='broken'/></svg>", 10, 10).n_nodes == 0


def test_of_a_real_trace_all_paths_and_colours_are_found():
    picture = Picture(pixels())
    measured = picture.measure(BEST_SINGLE)
    found = svg_stats(measured.trace.svg, 64, 64)
    assert found.n_paths == measured.outcome.n_paths
    assert sum(s.n_paths for s in found.palette) == found.n_paths
    assert sum(s.share for s in found.palette) == pytest.approx(1.0)
    assert 0 < found.n_gzipped < found.n_bytes


@pytest.mark.parametrize("kind", DIFFERENCES)
def test_a_difference_is_clear_where_pictures_agree(kind):
    a = pixels(1)
    assert not difference(a, a, kind)[..., 3].any()
    b = a.copy()
    b[20:40, 20:40] = 255 - b[20:40, 20:40]
    found = difference(a, b, kind)
    assert found.shape == (64, 64, 4)
    assert found[..., 3].any()
    assert not found[:8, :8, 3].any()
    with pytest.raises(ValueError, match="not one of"):
        difference(a, b, "nonsense")


@pytest.mark.parametrize("mode", MODES)
def test_the_python_call_to_copy_gives_the_same_svg(tmp_path, mode):
    data = png(2)
    (tmp_path / "logo.png").write_bytes(data)
    params = Params(4, 53, 40, 9.5, 9, 42, 1, filter_speckle=6, is_plain=True)
    code = (
        as_python(params, mode)
        .replace('"logo.png"', repr(str(tmp_path / "logo.png")))
        .replace('"logo.svg"', repr(str(tmp_path / "logo.svg")))
    )
    exec(compile(code, "copied", "exec"), {})
    assert (tmp_path / "logo.svg").read_text() == Picture(decode_png(data)).measure(params, mode=mode).trace.svg
    assert "--gradient_step 53" in as_command(params, mode)


def test_near_duplicates_are_found_and_others_are_not(tmp_path):
    folder = tmp_path / "logos"
    folder.mkdir()
    for i in range(8):
        draw_logo(i, 96).save(folder / f"logo {i}.png")
    draw_logo(3, 96).resize((90, 90)).save(folder / "again.png")
    logos = load_logos(str(folder), 96).logos
    pairs = near_duplicates(logos)
    assert {(pair.a.name, pair.b.name) for pair in pairs} == {("again", "logo 3")}
    assert perceptual_hash(logos[0].pixels) == perceptual_hash(logos[0].pixels)
    assert near_duplicates(logos[:1]) == []


def test_a_set_of_own_keeps_categories_and_splits_as_it_grows(home):
    folder = sets.add_pictures(home, "mine", [(f"logo {i}.png", png(i)) for i in range(6)]).folder
    before = {logo.name: (logo.category, logo.split) for logo in load_logos(str(folder)).logos}
    assert len(before) == 6
    name = sorted(before)[0]
    sets.relabel(home, str(folder), name, category="complex", split="test")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("in/logo 0.png", png(40))
        packed.writestr("new.png", png(41))
    sets.add_pictures(home, "mine", [("more.zip", archive.getvalue())])
    after = {logo.name: (logo.category, logo.split) for logo in load_logos(str(folder)).logos}
    assert after[name] == ("complex", "test")
    assert {n: v for n, v in after.items() if n in before and n != name} == {n: v for n, v in before.items() if n != name}
    assert set(after) - set(before) == {"logo 0-2", "new"}
    assert "Its folder or manifest says complex" in sets.why(next(x for x in load_logos(str(folder)).logos if x.name == name))


def test_a_folder_that_was_not_made_here_is_never_written_to(home, logo_folder):
    before = sorted(path.name for path in logo_folder.rglob("*"))
    for act in (lambda: sets.relabel(home, str(logo_folder), "logo 0", "text"), lambda: sets.delete(home, str(logo_folder))):
        with pytest.raises(LogosError, match="not a set of this console"):
            act()
    assert sorted(path.name for path in logo_folder.rglob("*")) == before
    with pytest.raises(LogosError, match="can't be called"):
        sets.add_pictures(home, "../elsewhere", [("a.png", png(1))])
    with pytest.raises(LogosError, match="no usable picture"):
        sets.add_pictures(home, "broken", [("a.png", b"nonsense")])
    assert sets.all_sets(home) == []


def test_favourites_are_kept_replaced_and_dropped(home):
    one = Favourite("soft", "d1", "logo", DEFAULTS.as_tuple(), "spline", 0.1)
    favourites.keep(home, one)
    favourites.keep(home, Favourite("sharp", "d2", "other", BEST_SINGLE.as_tuple(), "polygon", 0.2))
    favourites.keep(home, Favourite("soft", "d1", "logo", BEST_SINGLE.as_tuple(), "spline", 0.3))
    assert [(f.name, f.gain) for f in favourites.read(home)] == [("soft", 0.3), ("sharp", 0.2)]
    assert [f.name for f in favourites.read(home, "d2")] == ["sharp"]
    favourites.drop(home, one)
    assert [f.name for f in favourites.read(home)] == ["sharp"]
    (home / "favourites.json").write_text("{nonsense")
    assert favourites.read(home) == []


def test_curricula_are_kept_as_files_that_train_takes(home):
    rules = CurriculumConfig(window=17)
    path = library.write(home, "mine", rules)
    assert library.names(home) == ["mine"]
    assert library.read(home, "mine") == rules
    path.write_text("curriculum: {window: 0}")
    with pytest.raises(ConfigError, match=r"curriculum.window = 0"):
        library.read(home, "mine")
    with pytest.raises(ConfigError, match="can't be called"):
        library.write(home, "../mine", rules)
    library.delete(home, "mine")
    with pytest.raises(ConfigError, match="can't be read"):
        library.read(home, "mine")


def test_what_if_says_when_other_rules_would_have_promoted():
    stages = [{"name": n, "target_ssim": 0.9, "required_gain": 0.0, "max_episodes": 1000, "success_threshold": 0.8} for n in ("a", "b")]
    rules = CurriculumConfig.model_validate({"enabled": True, "window": 10, "min_episodes": 10, "stages": stages})
    episodes = [(0.5, 1.0)] * 20 + [(0.95, 0.1)] * 30
    turns = replay(rules, episodes)
    assert [(t.episode, t.stage, t.kind) for t in turns] == [(28, "a", "passed"), (38, "b", "passed")]
    stricter = rules.model_copy(update={"window": 30, "min_episodes": 30})
    assert [t.episode for t in replay(stricter, episodes)] == [44]
    assert replay(rules, []) == []


def test_a_deleted_run_can_be_put_back_until_it_is_gone_for_good(home, logo_folder):
    run = claim(home, tiny_config(logo_folder))
    trash.discard(run)
    assert list(all_runs(home)) == []
    assert [found.run_id for found in trash.discarded(home)] == [run.run_id]
    assert read_config(trash.restore(home, run.run_id)).name == "tiny"
    trash.discard(run)
    assert trash.empty(home, older_than_s=60) == 0
    assert trash.empty(home) == 1
    with pytest.raises(RunError, match="deleted for good"):
        trash.restore(home, run.run_id)
