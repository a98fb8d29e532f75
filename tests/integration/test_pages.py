"""Each page with no runs, a live run and an ended run; the form; the buttons."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from core.config.installation import Settings, write_settings
from core.runs.event_types import AlertRaised, Ended
from core.runs.events import EventWriter
from core.runs.records import drop_queue_entry, read_config, read_heartbeat, read_label, read_parent
from core.runs.run_dir import RunDir, all_runs
from core.runs.status import Status, run_state
from core.scheduling import local, queue
from pages.views.text import plain
from storage import run_comparison
from tests.support.pages import PAGES, caught_up, live_run, texts
from tests.support.paths import ROOT
from tests.support.runs import await_status, follow, tiny_config


@pytest.fixture
def ended(console, recorded):
    run = recorded(curriculum={"enabled": True, "window": 8, "min_episodes": 20, "ends_run": False})
    caught_up(console, run)
    return run


@pytest.fixture
def live(console, logo_folder):
    with live_run(console, logo_folder) as run:
        yield run


@pytest.mark.parametrize(("name", "title"), PAGES.items())
def test_a_page_with_an_ended_run(visit, ended, name, title):
    page = visit(name, run=ended.run_id)
    assert not page.exception
    assert page.title[0].value == title
    if name in ("live", "gallery"):
        assert page.selectbox(key="run").value == ended.run_id
        assert not page.error


def test_a_link_names_a_run_by_its_id_whatever_it_is_called(visit, console, ended):
    """Three runs of one name; none but the newest is the default."""
    for suffix in ("older", "newer"):
        shutil.copytree(ended.path, console.home / f"custom-{suffix}")
        caught_up(console, RunDir(console.home / f"custom-{suffix}"))
    for name in ("live", "gallery"):
        for run_id in (ended.run_id, "custom-older", "custom-newer"):
            page = visit(name, run=run_id)
            assert not page.exception
            assert page.selectbox(key="run").value == run_id
        page.selectbox(key="run").set_value(ended.run_id).run()
        assert page.selectbox(key="run").value == ended.run_id
        assert page.query_params["run"] in (ended.run_id, [ended.run_id])
    evaluations = [e for e in map(json.loads, ended.events_file.read_text().splitlines()) if e["kind"] == "evaluation"]
    best = max(e["data"]["gain"] for e in evaluations)
    first_step = str(evaluations[-1]["step"] if evaluations[0]["data"]["gain"] == best else evaluations[0]["step"])  # not the default
    page = visit("gallery", run=ended.run_id, at=first_step, logo=sorted(queries_logos(ended))[-1])
    assert page.selectbox(key="at").value == first_step
    assert page.selectbox(key="logo").value == sorted(queries_logos(ended))[-1]
    page = visit("live", run=ended.run_id, **{"with": "custom-older"})
    assert page.multiselect(key="with").value == ["custom-older"]


def test_live_draws_curves_heatmap_and_exports(visit, ended):
    charts = {}
    for tab in ("Success", "Parameters", "Rewards", "Losses", "Events and log", "Export"):
        page = visit("live", run=ended.run_id, tab=tab)
        assert not page.exception
        charts[tab] = len(page.get("vega_lite_chart")) - 3  # stages, gain and reward stand above the tabs
    assert charts.pop("Losses") in range(9, 13)  # failures and lost workers have a chart where there were any
    assert charts == {"Success": 4, "Parameters": 4, "Rewards": 8, "Events and log": 0, "Export": 0}
    page = visit("live", run=ended.run_id, tab="Parameters")
    assert {"Best validation gain", "Episodes"} <= {m.label for m in page.metric}
    assert "over VTracer's defaults, but not better than one fixed setting: " in texts(page)
    assert "not better than one fixed setting" in texts(visit("runs"))
    page.selectbox(key="x").set_value("minutes").run()
    assert not page.exception
    page.selectbox(key="param").set_value("layer_difference").run()
    page.segmented_control(key="by").set_value("gain").run()
    assert not page.exception


def test_live_with_a_run_that_does_not_exist_says_so(visit, ended):
    page = visit("live", run="20000101-000000-gone")
    assert "Run 20000101-000000-gone was not found" in texts(page).replace("\\", "")
    assert not page.exception


def test_stop_from_the_page_ends_the_run(visit, live):
    page = visit("live", run=live.run_id)
    page.button(key="stop").click().run()
    deadline = time.monotonic() + 60
    while not run_state(live).status.is_finished:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert run_state(live).status is Status.STOPPED
    assert "Resume" in [b.label for b in visit("live", run=live.run_id).button]


def test_rename_and_delete_from_the_table(visit, ended):
    page = visit("runs")
    page.text_input(key=f"name.{ended.run_id}").set_value("My best").run()
    assert read_label(ended)["name"] == "My best"
    page.button(key=f"delete.{ended.run_id}").click().run()
    assert not ended.path.exists()
    page.button(key="undo.button").click().run()
    assert read_label(ended)["name"] == "My best"
    page = visit("runs")
    page.button(key=f"archive.{ended.run_id}").click().run()
    assert "All runs are archived" in texts(page)
    page.button(key="undo.archive").click().run()
    page.button(key=f"delete.{ended.run_id}").click().run()
    page.button(key="empty").click().run()
    assert not any((ended.path.parent / ".trash").iterdir())
    assert not page.exception


def test_a_run_whose_config_is_broken_does_not_break_the_table(visit, ended, console):
    broken = console.home / "20260101-000000-broken"
    broken.mkdir()
    (broken / "config.yaml").write_text("ppo: {gamma: 7}")
    page = visit("runs")
    assert not page.exception
    assert "ppo.gamma = 7 is not allowed" in texts(page).replace("\\", "")
    assert not visit("live", run=broken.name).exception


def test_the_gallery_sorts_filters_and_walks(visit, ended):
    page = visit("gallery", run=ended.run_id)
    logos = page.selectbox(key="logo").options
    assert len(logos) == len(queries_logos(ended))
    first = page.selectbox(key="logo").value
    page.button(key="next").click().run()
    assert page.selectbox(key="logo").value != first
    page.selectbox(key="sort").set_value("name").run()
    assert list(page.selectbox(key="logo").options) == sorted(page.selectbox(key="logo").options)
    page.text_input(key="logo_find").set_value("no such logo").run()
    assert "No matching logos" in texts(page)
    assert not page.exception


def queries_logos(run):
    events = [json.loads(line) for line in run.events_file.read_text().splitlines()]
    return {e["data"]["logo"] for e in events if e["kind"] == "evaluated"}


def test_a_gallery_whose_files_are_gone_says_so(visit, ended):
    for path in ended.path.rglob("*.svg"):
        path.unlink()
    page = visit("gallery", run=ended.run_id)
    assert not page.exception
    assert not page.download_button(key="svg.right").disabled  # made again from the seven that the log names
    for path in ended.pictures.glob("*.png"):
        path.unlink()
    page = visit("gallery", run=ended.run_id)
    assert "The picture file no longer exists" in texts(page)
    assert not page.exception


def test_every_preset_and_a_clone_fill_the_form(visit, ended):
    for name in ("quick", "recommended", "ppo_training"):
        page = visit("new_run", preset=name)
        assert not page.exception
        assert not page.button(key="start").disabled
        assert f"configs/{name}.yaml" in page.code[0].value
    page = visit("new_run", clone=ended.run_id)
    assert "A copy of" in texts(page)
    assert page.number_input(key=f"set.clone.{ended.run_id}.total_timesteps").value == 96


def test_start_from_the_form_starts_a_run(visit, console, logo_folder):
    page = visit("new_run")
    page.text_input(key="set.preset.quick.logos.path").set_value(str(logo_folder)).run()
    page.number_input(key="set.preset.quick.total_timesteps").set_value(1024).run()
    page.button(key="start").click().run()
    (run,) = all_runs(console.home)
    assert read_config(run).logos.path == str(logo_folder)
    await_status(run, Status.RUNNING)
    local.stop(run, force=True)
    while run_state(run).status is Status.RUNNING:
        time.sleep(0.05)


def test_a_run_from_the_command_line_appears_by_itself(visit, console, recorded):
    assert "Start the quick run" in [b.label for b in visit("runs").button]
    run = recorded(total_timesteps=32)
    caught_up(console, run)
    page = visit("runs")
    assert "Completed" in texts(page)
    assert f"name.{run.run_id}" in {field.key for field in page.text_input}


# Queue, pause, fork, health, alerts, settings


@pytest.fixture
def crowded(console, logo_folder):
    """One live run that takes all cores, and two that wait."""
    write_settings(console.home, Settings.model_validate({"queue": {"cores": 1}}))
    runs = [
        queue.submit(console.home, tiny_config(logo_folder, name=n, n_workers=1, total_timesteps=500_000)) for n in ("one", "two", "three")
    ]
    console.scheduler.wake()
    await_status(runs[0], Status.RUNNING)
    follow(runs[0], lambda e: e.kind == "metrics")
    deadline = time.monotonic() + 30
    while "waiting behind" not in run_state(runs[2]).reason:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield runs
    for run in runs:
        drop_queue_entry(run)
    for run in runs:
        if run_state(run).status in (Status.RUNNING, Status.PAUSED):
            local.stop(run, force=True)
    for run in runs:
        await_status(run, *(status for status in Status if status.is_finished))


@pytest.mark.parametrize("name", ["runs", "system"])
def test_what_waits_says_why_and_can_be_moved_and_cancelled(visit, crowded, name):
    one, two, three = crowded
    page = visit(name)
    assert not page.exception
    assert plain("waiting for 1 free core: 1 of 1 are used by one") in texts(page)
    assert "waiting behind two" in texts(page)
    assert page.button(key=f"queue.up.{two.run_id}").disabled
    page.button(key=f"queue.first.{three.run_id}").click().run()
    assert [run.run_id for run, _ in queue.waiting(one.path.parent)] == [three.run_id, two.run_id]
    page.button(key=f"queue.cancel.{three.run_id}").click().run()
    assert run_state(three).status is Status.STOPPED
    assert not page.exception


def test_a_waiting_run_has_a_live_page(visit, crowded):
    page = visit("live", run=crowded[1].run_id)
    assert "In the queue: waiting for 1 free core" in texts(page)
    page.button(key="cancel").click().run()
    assert run_state(crowded[1]).status is Status.STOPPED
    assert "Start" in [b.label for b in visit("live", run=crowded[1].run_id).button]


def test_pause_continue_stop_and_the_next_run_starts(visit, crowded):
    one, two, _ = crowded
    page = visit("live", run=one.run_id)
    page.button(key="pause").click().run()
    await_status(one, Status.PAUSED)
    page = visit("live", run=one.run_id)
    assert "Paused" in texts(page)
    page.button(key="continue").click().run()
    await_status(one, Status.RUNNING)
    page = visit("live", run=one.run_id)
    page.button(key="stop").click().run()
    await_status(one, Status.STOPPED, Status.RUNNING)
    await_status(two, Status.RUNNING)
    await_status(one, Status.STOPPED)


def test_a_second_stop_kills_after_the_grace_period(visit, live, monkeypatch):
    os.kill(read_heartbeat(live).process.pid, signal.SIGSTOP)  # it will not act on being asked
    page = visit("live", run=live.run_id)
    page.button(key="stop").click().run()
    button = visit("live", run=live.run_id).button(key="stop")
    assert button.label.startswith("Kill in ")
    assert button.disabled
    monkeypatch.setattr(local, "GRACE_S", 0.0)
    page = visit("live", run=live.run_id)
    assert page.button(key="stop").label == "Kill"
    page.button(key="stop").click().run()
    await_status(live, Status.INTERRUPTED)
    assert "killed by hand" in run_state(live).reason


def test_a_fork_from_the_pages(visit, console, ended):
    page = visit("runs")
    page.selectbox(key=f"more.{ended.run_id}.checkpoint").set_value("best").run()
    page = visit("new_run", fork=ended.run_id, **{"from": "best"})
    assert not page.exception
    assert "A fork of tiny: continues from the best with the settings below." in texts(page)
    version = f"fork.{ended.run_id}.best"
    page.number_input(key=f"set.{version}.ppo.learning_rate").set_value(0.0005).run()
    page.button(key="start").click().run()
    assert not page.exception
    (fork,) = [run for run in all_runs(console.home) if read_parent(run)]
    assert read_config(fork).ppo.learning_rate == 0.0005
    await_status(fork, Status.COMPLETED)
    caught_up(console, fork)
    page = visit("live", run=fork.run_id)
    assert "Forked at step" in texts(page)
    assert not page.exception
    curve = json.loads(next(c.proto.spec for c in page.get("vega_lite_chart") if "before the fork" in c.proto.spec))
    assert curve


def test_a_finding_has_a_remedy_that_is_one_click_away(visit, console, ended):
    from core.health.doctor import Finding

    finding = Finding(
        "kl_high", "severe", 64, "Updates move the policy too far", "approx_kl is 3", "c.", "r.", {"ppo.learning_rate": 0.001}
    )
    with EventWriter(ended.events_file) as events:
        events.attempt = 1
        events.write(64, AlertRaised(**finding.as_dict()))
        events.write(96, Ended(status="COMPLETED", reason="all steps done", gain=0.1, best_gain=0.1))
    caught_up(console, ended)
    page = visit("live", run=ended.run_id, tab="Health")
    assert plain("approx_kl is 3.") in texts(page)
    (remedy,) = [button for button in page.button if plain("ppo.learning_rate = 0.001") in button.label]
    # a newer finding comes above it before the press
    with EventWriter(ended.events_file) as events:
        events.attempt = 1
        events.write(80, AlertRaised(**replace(finding, changes={"ppo.learning_rate": 0.0005}).as_dict()))
        events.write(96, Ended(status="COMPLETED", reason="all steps done", gain=0.1, best_gain=0.1))
    caught_up(console, ended)
    remedy.click().run()
    assert not page.exception
    (fork,) = [run for run in all_runs(console.home) if read_parent(run)]
    assert read_config(fork).ppo.learning_rate == 0.001
    assert read_parent(fork).checkpoint == "best"
    await_status(fork, Status.COMPLETED)

    page = visit("alerts")
    assert "Updates move the policy too far" in texts(page)
    assert "new alert" in " ".join(link.proto.label for link in page.get("page_link"))
    page.segmented_control(key="at_least").set_value("severe").run()
    assert "Run completed" not in texts(page)
    next(b for b in page.button if b.label == "Mark all as read").click().run()
    assert "No new alerts" in " ".join(link.proto.label for link in visit("alerts").get("page_link"))


# Compare


def test_compare_shows_what_differs_and_who_wins_logo_by_logo(visit, console, recorded, tmp_path):
    import pandas as pd

    page = visit("compare")
    assert "You need two evaluated runs" in texts(page)
    runs = [recorded(name=n, seed=s, ppo={"learning_rate": r}) for n, s, r in (("a", 1, 2e-3), ("b", 2, 1e-2), ("b", 3, 1e-2))]
    for run in runs:
        caught_up(console, run)
    a, b, c = (run.run_id for run in runs)
    page = visit("compare", run=[a, b, c])
    assert not page.exception
    assert len(set(page.multiselect(key="run").options)) == 3  # two are called alike
    frames = [frame.value for frame in page.dataframe]
    assert list(frames[0]["best_gain"]) == list(run_comparison.figures(console.store, [a, b, c])["best_gain"])
    assert set(frames[1]["setting"]) == {"seed", "ppo.learning_rate"}
    page.selectbox(key="group").set_value("ppo.learning_rate").run()
    assert not page.exception
    page = visit("compare", run=[a, b], tab="Logo by logo", **{"from": a, "to": b})
    both = run_comparison.by_logo(console.store, a, b)
    found = run_comparison.compare_pair(both)
    assert f"{found.wins} · {found.ties} · {found.losses}" in [m.value for m in page.metric]
    done = subprocess.run(
        [sys.executable, "-m", "core", "runs", "compare", a, b, "--out", str(tmp_path / "both.csv"), "--json"],
        cwd=ROOT, env=os.environ | {"TRACEWRIGHT_HOME": str(console.home)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert {key: told[key] for key in found.as_dict()} == found.as_dict()
    written = pd.read_csv(tmp_path / "both.csv")
    assert list(written["difference"]) == pytest.approx(list(both["difference"]))
    assert found.wins + found.ties + found.losses == found.n_logos == len(written)


def test_a_run_against_itself_is_all_ties(console, ended):
    both = run_comparison.by_logo(console.store, ended.run_id, ended.run_id)
    found = run_comparison.compare_pair(both)
    assert (found.wins, found.losses, found.difference, found.p_value) == (0, 0, 0.0, None)


def test_the_form_of_a_new_run_survives_a_reload(visit):
    page = visit("new_run")
    page.number_input(key="set.preset.quick.total_timesteps").set_value(1000).run()
    assert "Rounded up to 1,024: 2 rollouts of 512 steps." in texts(page)
    assert "for 1,024 steps" in texts(page)
    kept = page.query_params["set"]
    again = visit("new_run", set=[kept, 'workers.backend="ray"', 'workers.address="elsewhere:1"'])
    assert again.selectbox(key="set.preset.quick.workers.backend").value == "ray"
    assert again.text_input(key="set.preset.quick.workers.address").value != "elsewhere:1"  # where the token goes is not a link's to say
    assert again.number_input(key="set.preset.quick.total_timesteps").value == 1000
    again.number_input(key="set.preset.quick.ppo.batch_size").set_value(100).run()
    assert "*Batch size*" in texts(again)
    assert "ppo.batch_size" not in texts(again)
    assert again.button(key="start").disabled
