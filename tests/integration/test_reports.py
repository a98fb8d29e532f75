"""Reports of real runs: every kind is valid HTML with all its sections; the command line, the page and the console's route agree."""

import asyncio
import json
import subprocess
import sys
import threading
import time

import pytest
from starlette.requests import Request
from starlette.responses import Response

from core.errors import ConfigError
from core.reports import kept
from core.reports.reporter import Wanted, make_in_a_process
from core.runs.records import write_label
from core.runs.run_dir import RunDir
from pages.server import kept_reports
from pages.views.reports import kinds
from pages.views.reports.document import MAX_BYTES, to_html
from tests.support.html import problems, sections
from tests.support.pages import caught_up, texts
from tests.support.paths import ROOT

RUN_SECTIONS = [
    "Summary", "Curves", "Trends", "Comparison with baselines", "Stages", "Health", "Best and worst logos", "Milestones", "Data card",
    "Settings", "How to reproduce it",
]  # fmt: skip
STAGES = {"enabled": True, "window": 8, "min_episodes": 20, "ends_run": False}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> & \"'{{ 7*7 }}"


def made(console, kind: str, *runs: RunDir, **more) -> str:
    for run in runs:
        caught_up(console, run)
    return to_html(kinds.build(kind, kinds.Request(console.store, list(runs), **more))).decode()


def command(*arguments: str, rc: int = 0) -> dict | str:
    done = subprocess.run(
        [sys.executable, "-m", "core", "report", *arguments, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == rc, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1]) if rc == 0 else done.stderr


def test_the_report_of_a_run_has_every_section_and_is_valid(console, recorded):
    text = made(console, "run", recorded(name="seed 1", seed=1))
    assert problems(text) == []
    assert sections(text) == RUN_SECTIONS
    assert len(text) < MAX_BYTES
    assert "a single fixed setting for all logos" in text or "better than the best single setting" in text
    assert text.count("data:image/svg+xml;base64,") >= 2  # before and after
    assert "python -m core train --config config.yaml" in text


def test_no_text_of_a_person_is_markup(console, recorded):
    run = recorded(name="seed 1", seed=1)
    write_label(run, HOSTILE, HOSTILE)
    for kind, runs in (("run", [run]), ("comparison", [run, recorded(name="seed 2", seed=2)]), ("period", [run])):
        text = made(console, kind, *runs)
        assert problems(text) == []
        assert "<img src=x" not in text
        assert "alert(1)</script>" not in text
        assert "{{ 7*7 }}" in text


def test_a_comparison_holds_the_others_against_the_first(console, recorded):
    text = made(console, "comparison", recorded(name="seed 1", seed=1), recorded(name="seed 2", seed=2))
    assert problems(text) == []
    assert "They differ only in their seed" in text
    assert "against seed 1" in text
    assert {"Logo by logo", "Settings that differ", "Trends across runs", "Data card", "How to reproduce it"} <= set(sections(text))


def test_a_curriculum_is_told_stage_by_stage(console, recorded):
    run = recorded(curriculum=STAGES)
    text = made(console, "curriculum", run)
    assert problems(text) == []
    assert {"Stages", "Decisions", "Rules", "Best and worst logos"} <= set(sections(text))
    assert "simple_warmup" in text
    with pytest.raises(ConfigError, match="without a curriculum"):
        made(console, "curriculum", recorded(name="seed 1", seed=1))
    with pytest.raises(ConfigError, match="takes 2 to 40 runs, not 1"):
        made(console, "comparison", run)


def test_a_period_tells_of_its_runs_alone(console, recorded):
    run = recorded(name="seed 1", seed=1)
    text = made(console, "period", run, period="day")
    assert problems(text) == []
    assert "1 run trained" in text
    assert "seed 1" in text
    assert "No run was trained in this period" in made(console, "period", run, since=1.0, until=2.0)
    assert problems(made(console, "period")) == []


def test_the_command_line_keeps_lists_deletes_and_restores(home, recorded, tmp_path):
    run = recorded(name="seed 1", seed=1)
    out = tmp_path / "a folder" / "report.html"
    told = command(run.run_id, "--out", str(out), "--keep")
    assert out.stat().st_size == told["bytes"]
    assert kept.find(home, told["kept"]).html_file.read_bytes() == out.read_bytes()
    assert [r["name"] for r in command("--list")["reports"]] == [told["kept"]]
    assert command("--delete", told["kept"]) == {"reports": [], "problems": [], "deleted": [told["kept"]]}
    assert len(command("--restore", told["kept"])["reports"]) == 1
    assert "give the runs" in command(rc=2)
    assert "is not a kind of report; choose one of run" in command(run.run_id, "--kind", "odd", rc=2)
    assert "no report '../x'" in command("--delete", "../x", rc=2)


def test_a_report_that_is_made_by_itself_is_linked_from_its_alert(visit, console, recorded):
    run = recorded(name="seed 1", seed=1)
    caught_up(console, run)
    ended = next(json.loads(line) for line in run.events_file.read_text().splitlines() if '"kind":"ended"' in line)
    assert make_in_a_process(Wanted(run.run_id, "end", ended["ts"], time.time()), console.home, threading.Event()) == ""
    (name,) = kept.by_event(console.home).values()
    page = visit("alerts", at_least="info and above")
    assert not page.exception
    assert name in str([link.proto for link in page.get("link_button")])
    assert "no run" in make_in_a_process(Wanted("gone", "end", 1.0, 0.0), console.home, threading.Event())


def test_the_page_makes_a_report_deletes_it_and_takes_that_back(visit, console, recorded):
    run = recorded(name="seed *1*", seed=1)
    caught_up(console, run)
    page = visit("reports", run=run.run_id)
    assert "No reports yet" in texts(page)
    next(b for b in page.button if b.label == "Make report").click().run()
    assert not page.exception
    (report,) = kept.all_reports(console.home)
    assert r"seed \*1\*" in texts(page)
    page.button(key=f"delete.{report.name}").click().run()
    assert kept.all_reports(console.home) == []
    page.button(key="undo.report").click().run()
    assert kept.all_reports(console.home) == [report]
    assert not visit("reports", tab="Trends").exception


def answer(home, name: str) -> Response:
    (route,) = kept_reports.routes("", lambda: home)
    request = Request({"type": "http", "method": "GET", "path_params": {"name": name}, "headers": []})
    return asyncio.run(route.endpoint(request))


def test_the_console_serves_a_kept_report_in_a_sandbox(home):
    report = kept.keep(home, b"<!DOCTYPE html>", kept.About("run", "t", ["r"], 1e9))
    found = answer(home, report.name)
    assert (found.status_code, found.body) == (200, b"<!DOCTYPE html>")
    assert found.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert answer(home, f"{report.name}.pdf").status_code == 404
    for name in ("../settings.yaml", "waiting.json", "20260101-000000-none"):
        assert answer(home, name).status_code == 404


def test_a_report_that_is_deleted_as_it_is_asked_for_is_not_there(home, monkeypatch):
    report = kept.keep(home, b"<!DOCTYPE html>", kept.About("run", "t", ["r"], 1e9))
    report.pdf_file.mkdir()  # what is no file
    assert answer(home, f"{report.name}.pdf").status_code == 404
    real = kept.find
    monkeypatch.setattr(kept, "find", lambda *asked: (real(*asked), report.html_file.unlink())[0])
    assert answer(home, report.name).status_code == 404
