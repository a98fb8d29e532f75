"""Which folders of pictures pages may read: a link to a page shows no other pictures of this machine."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from core.config.installation import PageSettings, Settings, check_settings, write_settings
from core.errors import ConfigError, LogosError
from core.logos.dataset import BUILTIN, load_logos, write_logos
from core.logos.vectors import vector_named
from core.machine import Process
from core.runs.folders import check_readable, folders_of_runs
from core.runs.records import claim, is_ours, write_process
from core.runs.run_dir import RunDir
from core.tracing.picture import encode_png
from pages.views.viewer.versions import kept_picture, kept_svg
from tests.support.pages import texts
from tests.support.runs import tiny_config


def refused(path: str | Path, home: Path) -> str:
    with pytest.raises(LogosError) as caught:
        check_readable(str(path), home)
    told = str(caught.value)
    assert "\n" not in told
    assert "pages.folders" in told
    return told


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    write_logos(tmp_path / "elsewhere", n_per_category=1, longest_side=32)
    return tmp_path / "elsewhere"


def started(home: Path, folder: Path) -> RunDir:
    run = claim(home, tiny_config(folder, name="mine"))
    write_process(run, Process(2**22 - 1, 1.0))
    return run


def test_the_home_its_sets_and_the_built_in_logos(home):
    for path in (BUILTIN, str(home), str(home / "logos" / "mine")):
        check_readable(path, home)


@pytest.mark.parametrize("path", ["/", "/etc", "~", ".", "", "a\0b", "/" + "x" * 5000, "file:///etc", "BUILTIN", "//etc", "\ud800"])
def test_any_other_folder_is_one_line(path, home):
    refused(path, home)


def test_what_leads_out_of_the_home_is_outside(home, outside):
    home.mkdir(exist_ok=True)
    (home / "inside").symlink_to(outside)
    (home / "circle").symlink_to(home / "circle")
    refused(home / "inside", home)
    refused(home / ".." / "elsewhere", home)
    refused(f"{home}-other", home)
    refused(home / "circle", home)


def test_the_folder_of_a_run_that_was_started_here(home, outside):
    run = started(home, outside)
    assert folders_of_runs(home) == [str(outside)]
    check_readable(str(outside), home)
    refused(outside.parent, home)
    refused(outside / "below", home)
    shutil.rmtree(run.path)
    refused(outside, home)


def test_a_run_that_was_copied_in_names_no_folder(home, outside, tmp_path):
    run = started(tmp_path / "another home", outside)
    shutil.copytree(run.path, home / run.run_id)
    copy = RunDir(home / run.run_id)
    assert folders_of_runs(home) == []
    refused(outside, home)
    told = json.loads(copy.process_file.read_text())
    copy.process_file.write_text(json.dumps(told | {"folder": 0}))  # as written by whoever knows what this machine is called
    assert not is_ours(copy)
    refused(outside, home)


def test_what_the_operator_lists_with_all_below_it(home, outside):
    write_settings(home, Settings(pages=PageSettings(folders=[str(outside)])))
    check_readable(str(outside), home)
    check_readable(str(outside / "below"), home)
    refused(f"{outside}-too", home)
    (home / "settings.yaml").write_text("pages: [")
    refused(outside, home)


@pytest.mark.parametrize("path", ["logos", "", "../x", "~/logos", "/a\0b"])
def test_a_listed_folder_is_an_absolute_path(path):
    with pytest.raises(ConfigError, match="is not an absolute path"):
        check_settings({"pages": {"folders": [path]}})


def test_the_logos_page_says_why_it_shows_nothing(visit, console, outside):
    page = visit("logos", path=str(outside))
    assert not page.exception
    assert "is not among the folders that pages may read" in texts(page)
    assert not page.get("imgs")
    write_settings(console.home, Settings(pages=PageSettings(folders=[str(outside)])))
    page = visit("logos", path=str(outside))
    assert "is not among" not in texts(page)
    assert not page.exception


def test_the_settings_page_keeps_folders(visit, console, outside):
    page = visit("settings")
    page.text_area(key="set.folders").set_value("logos").run()
    assert "is not an absolute path" in texts(page)
    page.text_area(key="set.folders").set_value(f"{outside}\n").run()
    next(b for b in page.button if b.label == "Save").click().run()
    check_readable(str(outside), console.home)


@pytest.mark.parametrize(
    "logged",
    ["/etc/passwd", "../../etc/passwd", "pictures/../../x.png", "a\0b", "x" * 5000, "\ud800", "circle", "link.png", "out/x"],
    ids=lambda logged: ascii(logged)[:20],
)
def test_a_path_from_a_log_leads_to_no_file_outside_the_run(logged, home, tmp_path):
    run = claim(home, tiny_config("builtin", name="a"))
    (tmp_path / "secret.png").write_bytes(b"secret")
    (run.path / "link.png").symlink_to(tmp_path / "secret.png")
    (run.path / "out").symlink_to(tmp_path)
    (run.path / "circle").symlink_to(run.path / "circle")
    found = run.inside(logged)
    assert found is None or not os.path.exists(found)
    assert kept_svg(run, logged) == b""


def test_a_picture_that_is_a_link_out_of_the_run_is_not_shown(home, tmp_path):
    run = claim(home, tiny_config("builtin", name="a"))
    run.pictures.mkdir()
    (tmp_path / "secret.png").write_bytes(encode_png(np.zeros((4, 4, 3), np.uint8)))
    run.picture_file("abc").symlink_to(tmp_path / "secret.png")
    assert kept_picture(run, "abc") == b""
    run.picture_file("def").write_bytes((tmp_path / "secret.png").read_bytes())
    assert kept_picture(run, "def")


def test_a_link_in_a_set_that_leads_out_of_it_is_not_followed_by_pages(home, outside, visit, console):
    folder = home / "logos" / "mine"
    write_logos(folder, n_per_category=1, longest_side=32)
    for vector in folder.glob("svg/*/*.svg"):
        vector.unlink()
    secret = next(outside.glob("*/*.png"))
    for link in (folder / "link.png", folder / "simple" / "other.png"):
        link.symlink_to(secret)
    (folder / "out").symlink_to(outside)
    (folder / "round.png").symlink_to(folder / "round.png")
    (folder / "svg" / "simple" / "other.svg").symlink_to(next(outside.glob("svg/*/*.svg")))
    (folder / "same.png").symlink_to(next(folder.glob("text/*.png")))  # a link that stays inside is as good as its file
    found = load_logos(str(folder), 32, use_manifest=False, stays_inside=True)
    assert {item.source for item in found.skipped if "leads out" in item.reason} >= {
        str(folder / "link.png"),
        str(folder / "simple" / "other.png"),
    }
    assert not [logo for logo in found.logos if logo.name.startswith(("link", "other", "out"))]
    assert vector_named("other", "simple", str(folder), stays_inside=True) is None
    assert vector_named("other", "simple", str(folder)) is not None  # the command line reads what its user may read
    with (folder / "manifest.csv").open("a") as manifest:
        manifest.write("other,simple\n")
    assert not [logo for logo in load_logos(str(folder), 32, stays_inside=True).logos if logo.name == "other"]
    page = visit("logos", path=str(folder), tab="Skipped")
    assert not page.exception
    assert "leads out of the folder" in str([frame.value.to_dict() for frame in page.dataframe])
    (folder / "manifest.csv").unlink()
    (folder / "manifest.csv").symlink_to("/etc/passwd")
    with pytest.raises(LogosError, match="leads out of the folder"):
        load_logos(str(folder), 32, stays_inside=True)
