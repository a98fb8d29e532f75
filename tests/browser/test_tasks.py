"""What people come for, each done in a real browser; and that no page has errors, calls elsewhere, or keeps anybody out.

Of what is looked for, the first is taken: while a page is drawn again, what moved is there twice for a moment.
"""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from core.logos import favourites
from core.logos.dataset import BUILTIN
from core.runs.records import read_config
from core.runs.run_dir import RunDir, all_runs
from core.runs.status import Status
from core.scheduling import local, queue
from core.studies.study import StudyDir
from pages.server import start_document
from tests.support.browsers import SETTLED, keep_picture, violations
from tests.support.recorded import Recordings
from tests.support.runs import await_status, follow, tiny_config
from tests.support.servers import Server, serving
from tests.support.studies import made_up

STAGES = [
    {"name": n, "categories": c, "target_ssim": 1.0, "required_gain": 5.0, "max_episodes": 1_000_000, "success_threshold": 0.9}
    for n, c in (("first", ["simple"]), ("second", ["simple", "text", "gradient", "complex"]))
]


def copied_runs(recordings: Recordings, home: Path) -> list[RunDir]:
    """Two that have ended, one of them with a curriculum."""
    curriculum = {"enabled": True, "window": 8, "min_episodes": 16, "ends_run": False}
    real = {"logos": {"path": BUILTIN, "n_per_category": 10, "work_size": 192}} if os.environ.get("TRACEWRIGHT_PICTURES") else {}
    return [recordings.tiny(home, name=f"seed {s}", seed=s, curriculum=curriculum if s == 1 else {}, **real) for s in (1, 2)]


@pytest.fixture
def two_runs(recordings: Recordings, home: Path) -> list[RunDir]:
    return copied_runs(recordings, home)


@dataclass(frozen=True)
class Shared:
    """A server with two runs and two studies, for tests that start nothing and change nothing that another looks at."""

    server: Server
    home: Path
    runs: list[RunDir]
    studies: list[StudyDir]


@pytest.fixture(scope="module")
def shared(recordings: Recordings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    folder = tmp_path_factory.mktemp("shared")
    runs = copied_runs(recordings, folder / "home")
    studies = [made_up(folder / "home"), made_up(folder / "home", objectives=["gain", "bytes"], pruner="none")]
    with serving(folder / "home", folder) as server:
        read_in(server, runs)
        yield Shared(server, folder / "home", runs, studies)


def read_in(server: Any, runs: list[RunDir]) -> None:
    server.await_read(sum(run.events_file.stat().st_size for run in runs))


def test_see_why_a_run_holds_at_a_stage_and_push_it_on(home, tmp_path, browse, logo_folder):
    config = tiny_config(
        logo_folder,
        total_timesteps=1_000_000,
        curriculum={"enabled": True, "window": 8, "min_episodes": 8, "probe": False, "stages": STAGES},
    )
    with serving(home, tmp_path) as server:
        run = queue.submit(home, config)
        page = browse()
        page.goto(f"{server.url}/live?run={run.run_id}&tab=Success")
        page.get_by_text(
            re.compile("passes at a success rate of 90%, now 0%. Success: SSIM at least 1 and gain at least 5")
        ).first.wait_for()
        page.get_by_text("Success rate and stage gate").first.wait_for()
        page.get_by_role("button", name="Hold").first.click()
        page.get_by_role("button", name="Release").first.wait_for()
        pressed = time.time()
        page.get_by_role("button", name="Next stage").first.click()
        moved = follow(run, lambda e: e.kind == "stage_ended" and e.data.reason == "advanced")
        assert moved.ts - pressed < 10
        page.get_by_text(re.compile("Last decision, in first: advanced")).first.wait_for()
        keep_picture(page, "task-push-a-stage-on")


def test_find_the_logo_that_got_worst_and_see_where(shared, browse):
    from playwright.sync_api import expect

    page = browse()
    page.goto(f"{shared.server.url}/gallery?run={shared.runs[0].run_id}&sort=smallest+gain")
    page.locator(".handle").first.wait_for()
    page.get_by_role("combobox", name="Overlay").first.click()
    page.get_by_role("option", name="difference in colour").first.click()
    over = page.locator(".pane .over")
    over.wait_for()
    assert over.evaluate("e => e.naturalWidth") > 0
    assert "cover=absolute" in page.url
    page.locator(".opacity").fill("40")
    assert over.evaluate("e => e.style.opacity") == "0.4"
    page.locator(".stage").hover()
    for _ in range(60):
        page.mouse.wheel(0, -400)
    expect(page.locator(".zoom")).to_have_text("3200 %")
    page.locator(".tw").focus()
    page.keyboard.press("0")
    expect(page.locator(".zoom")).to_have_text("100 %")
    keep_picture(page, "task-find-the-worst-logo")
    page.get_by_role("tab", name="Over time").first.click()
    expect(page.locator(".scrub .at")).to_have_attribute("max", re.compile(r"^([2-9]|\d\d+)$"))  # 0 until its frames are there
    page.locator(".scrub .at").fill("0")
    assert page.locator(".said").inner_text().startswith("step 0 ")
    page.get_by_role("button", name="Play").first.click()
    page.locator(".said").filter(has_text="step 96").first.wait_for()
    page.get_by_role("tab", name="Trade-off").first.click()
    page.get_by_role("button", name="Try 40 more settings").first.click()
    page.get_by_text(re.compile(r"\d+ known conversions")).first.wait_for()
    page.get_by_text("logos trace").first.wait_for()


def test_compare_two_runs_and_export(shared, browse):
    from playwright.sync_api import expect

    page = browse()
    page.goto(f"{shared.server.url}/compare?" + "&".join(f"run={run.run_id}" for run in shared.runs))
    page.get_by_text("Differing settings").first.wait_for()
    keep_picture(page, "task-compare-and-export")
    page.get_by_role("tab", name="Logo by logo").first.click()
    page.get_by_text("Wins · ties · losses").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="logos.csv").first.click()
    assert Path(download.value.path()).read_text().startswith("digest,logo")
    page.get_by_role("tab", name="Figures and settings").first.click()
    page.get_by_role("button", name="Show and hide").first.click()
    page.locator("[data-testid=stPopoverBody]").get_by_text("seed 2", exact=True).first.click()
    page.wait_for_url("**hide=**")
    expect(page.get_by_label("Filter by name").first).to_be_visible()  # the list stays open for the next
    page.keyboard.press("Escape")
    with page.expect_download() as download:
        page.get_by_role("button", name="figures.csv").first.click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 3
    page.locator(".st-key-box-gain").get_by_role("button", name="Save").first.click()
    for name, start in (("PNG", b"\x89PNG"), ("SVG", b"<svg"), ("CSV", b"run_id"), ("Interactive page", b"<!DOCTYPE")):
        with page.expect_download() as download:
            page.get_by_role("button", name=name, exact=True).first.click()
        assert Path(download.value.path()).read_bytes().startswith(start)


def test_zoom_into_a_chart_and_find_it_again_by_its_address(shared, browse):
    page = browse()
    page.goto(f"{shared.server.url}/live?run={shared.runs[0].run_id}")
    chart = page.locator(".st-key-box-reward [data-testid=stVegaLiteChart]")
    chart.locator("canvas, svg.marks").first.wait_for()
    page.wait_for_selector(SETTLED)
    for _ in range(3):  # the brush may fall into a redraw
        box = chart.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 100)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + 100, steps=8)
        page.mouse.up()
        try:
            page.get_by_text("Zoomed to step").first.wait_for(timeout=8000)
            break
        except Exception as error:
            print(f"again: {error}")
    assert "zoom=" in page.url
    page.reload()
    page.get_by_text("Zoomed to step").first.wait_for()
    page.get_by_role("button", name="Full range").first.click()
    page.get_by_text("Zoomed to step").first.wait_for(state="detached")
    page.wait_for_selector(SETTLED)
    page.locator(".st-key-box-reward").get_by_role("button", name="Save").first.click()
    page.get_by_text("Pin to top").first.click()
    page.wait_for_url(re.compile("pin=reward"))


def test_clone_a_run_with_another_learning_rate(home, tmp_path, browse, two_runs):
    with serving(home, tmp_path) as server:
        read_in(server, two_runs)
        page = browse()
        page.goto(server.url)
        page.get_by_role("button", name="More").last.click()
        page.get_by_role("link", name="Clone as new").first.click()
        rate = page.get_by_role("spinbutton", name="Learning rate")
        rate.fill("0.0007")
        rate.press("Enter")
        page.get_by_text(re.compile("A copy of")).first.wait_for()
        page.wait_for_selector(SETTLED)
        page.get_by_role("button", name="Start").first.click()
        page.get_by_text("Gain on validation logos").first.wait_for()
        (new,) = [run for run in all_runs(home) if run.run_id not in {old.run_id for old in two_runs}]
        assert read_config(new).ppo.learning_rate == pytest.approx(0.0007)
        assert read_config(new).logos.path == read_config(two_runs[0]).logos.path
        await_status(new, Status.COMPLETED)
        keep_picture(page, "task-clone-with-another-rate")


def test_tune_a_logo_by_hand_and_copy_the_command(shared, browse):
    page = browse()
    page.goto(f"{shared.server.url}/workbench?run={shared.runs[0].run_id}")
    page.locator(".handle").first.wait_for()
    slider = page.get_by_role("slider", name="color_precision (bits)")
    slider.focus()
    for _ in range(8):
        slider.press("ArrowLeft")
    slider.press("ArrowRight")
    code = page.locator("[data-testid=stCode] code").filter(has_text="logos trace").first
    code.filter(has_text="--params 2,").wait_for()
    page.get_by_text(re.compile("(better|worse) than the agent's choice|Equal to")).first.wait_for()
    keep_picture(page, "task-tune-by-hand")
    name = page.get_by_role("textbox", name="Save as")
    name.fill("two bits")
    name.press("Enter")
    page.get_by_role("button", name="Save", exact=True).first.click()
    page.get_by_role("button", name="Remove").first.wait_for()
    (kept,) = favourites.read(shared.home)
    assert kept.name == "two bits"
    assert kept.params[0] == 2


def test_keys_and_the_tour_lead_through_the_console(shared, browse):
    page = browse()
    page.goto(shared.server.url)
    page.get_by_role("button", name="Take the tour").first.click()
    page.get_by_role("heading", name="Better SVGs from logos").first.wait_for()
    page.get_by_role("button", name="Next").first.click()
    page.get_by_role("heading", name="Have logos? Optimize").first.wait_for()
    page.keyboard.press("Escape")
    page.reload()
    page.get_by_role("button", name="Tour", exact=True).first.wait_for()
    assert not page.get_by_role("button", name="Take the tour").first.is_visible()
    page.keyboard.press("?")
    page.get_by_role("heading", name="Keyboard shortcuts").first.wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("w")
    page.wait_for_url(re.compile("/workbench"))
    page.goto(f"{shared.server.url}/runs?find=seed")
    page.get_by_text("seed 1", exact=True).first.wait_for()  # the home page by its name


def test_nothing_of_the_page_before_stands_below_a_new_title(shared, browse):
    watch = """() => {
      window.mixed = 0; window.frames_seen = 0;
      const look = () => {
        const title = document.querySelector("h1")?.innerText || "";
        const old = [...document.querySelectorAll("[data-testid=stMain] h3")].find((h) => h.innerText.includes("Notifications"));
        window.frames_seen += 1;
        if (title.includes("Logos") && old && old.checkVisibility()) window.mixed += 1;
        requestAnimationFrame(look);
      };
      look();
    }"""
    page = browse()
    page.goto(f"{shared.server.url}/settings")
    page.get_by_role("heading", name="Notifications").first.wait_for()
    page.wait_for_selector(SETTLED)
    page.evaluate(watch)
    page.get_by_role("link", name="Logos", exact=True).first.click()
    page.get_by_role("heading", name="Logos", exact=True).first.wait_for()
    page.wait_for_selector(SETTLED)
    tabs = page.get_by_role("tablist").first
    tabs.wait_for()  # seen again
    assert page.evaluate("() => window.frames_seen") > 2
    assert page.evaluate("() => window.mixed") <= 2  # frames: nobody sees one
    assert page.evaluate("() => ![...document.querySelectorAll('style')].some((s) => s.innerText.includes('data-stale=true'))")


def addresses(run: RunDir, one: StudyDir, two: StudyDir) -> dict[str, tuple[str, ...]]:
    """{address: tabs to go through by clicks after the one that it opens}. ``one``, ``two``: studies by their number of objectives."""
    return {
        "": (),
        "optimize": (),
        "new_run": (),
        f"live?run={run.run_id}": ("Parameters", "Rewards", "Losses", "Health", "Machine", "Events and log", "Export"),
        f"curriculum?run={run.run_id}": ("Rules and replay",),
        "logos": ("Features", "Look alike", "Make a set"),
        "models": (),
        f"gallery?run={run.run_id}&cover=paths": ("Over time", "Trade-off"),
        f"workbench?run={run.run_id}": (),
        "compare": ("Logo by logo", "Over time", "Seeds", "Efficiency", "Importance"),
        "search": (),
        f"search?study={one.study_id}": ("Settings", "Trials", "About"),
        f"search?study={two.study_id}": ("Trade-off",),
        "reports": ("Trends",),
        "choose": (),
        "alerts": (),
        "system": (),
        "settings": (),
    }


@pytest.mark.timeout(300)  # some thirty pages
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_has_errors_calls_elsewhere_or_keeps_anybody_out(shared, browse, scheme):
    page = browse(color_scheme=scheme)
    problems: list[str] = []
    page.on("console", lambda m: problems.append(f"{page.url}: {m.text}") if m.type == "error" else None)
    page.on(
        "request",
        lambda r: (
            None
            if r.url.startswith((shared.server.url, shared.server.url.replace("http", "ws"), "data:", "blob:"))
            else problems.append(f"asks {r.url}")
        ),
    )
    for address, tabs in addresses(shared.runs[0], *shared.studies).items():
        page.goto(f"{shared.server.url}/{address}")
        for tab in (None, *tabs):
            if tab is not None:
                page.get_by_role("tab", name=tab, exact=True).first.click()
                page.wait_for_function("(name) => new URL(location).search.includes(name)", arg=f"={tab.replace(' ', '+')}")
            page.wait_for_selector(SETTLED)
            page.locator("h1").first.wait_for()
            # what does not depend on colours is the same in both schemes
            problems += [f"{address} {tab}: {found}" for found in violations(page, colours_alone=scheme == "dark")]
            assert not page.locator("[data-testid=stException]").count(), (address, tab)
            width = page.locator("[data-testid=stSidebar]").evaluate("e => e.getBoundingClientRect().width")
            assert width == start_document.SIDEBAR, (address, tab)
    assert not problems, "\n".join(problems)


def test_the_browser_tells_when_a_run_ends(home, tmp_path, browse, logo_folder):
    """With the tab out of sight; what the browser itself would show is caught at its door."""
    caught = """
        window.told = [];
        window.Notification = class {
          static permission = "granted";
          static requestPermission() { return Promise.resolve("granted"); }
          constructor(title, more) { window.told.push([title, more.body]); }
        };
        Object.defineProperty(document, "hidden", { get: () => true });
    """
    with serving(home, tmp_path) as server:
        page = browse()
        page.add_init_script(caught)
        page.goto(f"{server.url}/system")
        page.get_by_role("button", name="Notify me").first.click()
        page.get_by_role("button", name="Turn off notifications").first.wait_for()
        run = local.start(home, tiny_config(logo_folder, name="short one"))
        await_status(run, Status.COMPLETED)
        page.wait_for_function("() => window.told.length > 0")
        assert page.evaluate("() => window.told") == [["Run completed", "short one"]]
