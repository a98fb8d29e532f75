"""Reports that are kept, and those that are made by themselves: nothing lost, nothing twice, nothing outside the folder."""

import json
import os
import threading
import time

import pytest

from core.config.installation import SETTINGS_FILE, Settings, write_settings
from core.errors import RunError
from core.notifications.notifier import Notifier
from core.reports import kept, pdf, reporter
from core.reports.reporter import Reporter, Wanted, arguments
from core.runs.events import EventWriter
from core.runs.records import claim, write_trial
from core.runs.small_files import Trial
from tests.support.events import record
from tests.support.runs import tiny_config

HTML = b"<!DOCTYPE html><title>x</title>"


def about(title="My run", trigger="hand", made=1_700_000_000.0, event_ts=0.0, runs=("r",)):
    return kept.About("run", title, list(runs), made, trigger, event_ts, "It is fine.")


def test_a_report_is_kept_listed_deleted_and_put_back(home):
    report = kept.keep(home, HTML, about())
    (home / "reports" / f"{report.name}.pdf").write_bytes(b"%PDF")
    again = kept.keep(home, HTML, about())
    assert again.name == f"{report.name}-2"
    assert [r.name for r in kept.all_reports(home)] == [again.name, report.name]
    assert kept.find(home, report.name).about == about()
    assert report.n_bytes == len(HTML)
    kept.delete(report)
    assert [r.name for r in kept.all_reports(home)] == [again.name]
    assert [r.name for r in kept.deleted(home)] == [report.name]
    assert kept.keep(home, HTML, about()).name == f"{report.name}-3"  # a name in the bin is not taken
    assert kept.restore(home, report.name).pdf_file.read_bytes() == b"%PDF"
    assert kept.deleted(home) == []
    with pytest.raises(RunError, match="not among the deleted"):
        kept.restore(home, report.name)


def test_what_was_deleted_is_gone_after_a_week(home):
    old, new = (kept.keep(home, HTML, about(title)) for title in ("old", "new"))
    for report in (old, new):
        kept.delete(report)
    week_ago = time.time() - kept.KEPT_S - 60
    os.utime(home / "reports" / kept.DELETED / f"{old.name}.json", (week_ago, week_ago))
    assert kept.purge(home) == 1
    assert [r.name for r in kept.deleted(home)] == [new.name]
    assert not list((home / "reports" / kept.DELETED).glob(f"{old.name}*"))


@pytest.mark.parametrize("name", ["", "../settings", "20260101-000000-a/../../x", "20260101-000000-" + "a" * 200, "reports\0", "waiting"])
def test_no_name_leads_out_of_the_folder(home, name):
    kept.keep(home, HTML, about())
    (home / "settings.json").write_text("{}")
    with pytest.raises(RunError, match=r"no report .* newest are"):
        kept.find(home, name)


@pytest.mark.parametrize("damage", ["", "[]", '{"v": 1}', '{"kind": "run", "title": 3, "runs": [], "made": -1}', "\xff"])
def test_a_damaged_report_is_named_and_holds_no_other(home, damage):
    good, bad = kept.keep(home, HTML, about("good")), kept.keep(home, HTML, about("bad"))
    (home / "reports" / f"{bad.name}.json").write_bytes(damage.encode("latin-1"))
    gone = kept.keep(home, HTML, about("gone"))
    gone.html_file.unlink()
    assert [r.name for r in kept.all_reports(home)] == [good.name]
    told = kept.problems(home)
    assert len(told) == 2
    assert all("delete" in line for line in told)
    assert any(line.startswith(bad.name) for line in told)


def test_only_automatic_reports_are_thinned_out(home):
    mine = kept.keep(home, HTML, about(made=1_600_000_000.0))
    made = [kept.keep(home, HTML, about(trigger="end", made=1_700_000_000.0 + i)) for i in range(4)]
    assert kept.thin_out(home, 2) == 2
    assert [r.name for r in kept.all_reports(home)] == [made[3].name, made[2].name, mine.name]


class Made(list):
    """Stands in for the process: notes what is wanted, and keeps a report as the command would."""

    def __init__(self, problem: str = "") -> None:
        super().__init__()
        self.problem = problem

    def __call__(self, wanted: Wanted, home, stop: threading.Event) -> str:
        self.append((wanted.run_id, wanted.trigger))
        if not self.problem:
            kept.keep(home, HTML, about(trigger=wanted.trigger, event_ts=wanted.event_ts, runs=[wanted.run_id]))
        return self.problem


def told(home, run, *kinds) -> None:
    data = {
        "ended": {"status": "COMPLETED", "reason": "done"},
        "pruned": {"status": "PRUNED"},
        "stage_ended": {"name": "a", "reason": "passed"},
    }
    with EventWriter(run.events_file) as writer:
        for kind in kinds:
            writer.write(10, record("ended" if kind == "pruned" else kind, **data[kind]))


@pytest.fixture
def run(home):
    return claim(home, tiny_config("builtin"))


@pytest.mark.parametrize("clock", [time.monotonic, lambda: 5.0], ids=["ticking", "too coarse to tell two events apart"])
def test_the_end_of_a_run_and_of_a_stage_give_one_report_each_whatever_is_killed(home, run, clock, monkeypatch):
    made = Made()
    first = Reporter(home, lambda: True, made)
    notifier = Notifier(home, lambda: True, lambda *_: "", first.note)
    notifier.tick()
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", clock)
        told(home, run, "stage_ended", "pruned", "ended")
    notifier.tick()
    first.tick()
    assert made == []  # the trainer closes its files yet
    assert first.n_waiting == 2
    second = Reporter(home, lambda: True, made)  # the process was killed
    for _ in range(4):
        second.tick(now=time.time() + reporter.SETTLE_S + 1)
    assert made == [(run.run_id, "stage"), (run.run_id, "end")]
    assert second.n_waiting == 0
    # The notifier was killed before it noted how far it had read: the same events are told again
    again = Notifier(home, lambda: True, lambda *_: "", second.note)
    again._load(0.0)
    again._offsets = {run.run_id: 0}
    again.tick()
    for _ in range(4):
        second.tick(now=time.time() + reporter.SETTLE_S + 1)
    assert len(made) == len(kept.by_event(home)) == 2


def test_a_trial_of_a_study_gives_none(home, run):
    write_trial(run, Trial("a study", 3))
    made = Made()
    one = Reporter(home, lambda: True, made)
    notifier = Notifier(home, lambda: True, lambda *_: "", one.note)
    notifier.tick()
    told(home, run, "stage_ended", "ended")
    notifier.tick()
    assert one.n_waiting == 0


def test_what_fails_is_tried_twice_and_what_is_not_wanted_is_not_made(home, run):
    made = Made("exit code 1")
    one = Reporter(home, lambda: True, made)
    notifier = Notifier(home, lambda: True, lambda *_: "", one.note)
    notifier.tick()
    write_settings(home, Settings.model_validate({"reports": {"at_stages": False}}))
    told(home, run, "stage_ended", "ended")
    notifier.tick()
    for minutes in (1, 1, 5, 9):
        one.tick(now=time.time() + 60 * minutes)
    assert made == [(run.run_id, "end")] * 2
    assert one.n_waiting == 0


def test_a_run_that_is_gone_gives_none(home, run):
    made = Made()
    one = Reporter(home, lambda: True, made)
    notifier = Notifier(home, lambda: True, lambda *_: "", one.note)
    notifier.tick()
    told(home, run, "ended")
    notifier.tick()
    run.path.rename(home / ".gone")
    one.tick(now=time.time() + 60)
    assert made == []
    assert one.n_waiting == 0


def test_summaries_come_when_a_day_and_a_week_are_over(home, run):
    made = Made()
    one = Reporter(home, lambda: True, made)
    day, start = 86_400.0, 1_700_000_000.0
    for n in range(8):
        one.tick(now=start + n * day)
    one.tick(now=start + 7 * day + 1)
    assert (made.count(("", "day")), made.count(("", "week"))) == (7, 1)
    write_settings(home, Settings.model_validate({"reports": {"summaries": "none"}}))
    Reporter(home, lambda: True, made).tick(now=start + 8.5 * day)
    assert len(made) == 8


def test_the_end_of_a_study_gives_a_report_where_one_is_wanted(home):
    made: list[Wanted] = []

    def make(wanted, of_home, stop):
        made.append(wanted)
        kept.keep(of_home, HTML, about(trigger="end"))
        return ""

    for n in range(3):
        write_settings(home, Settings.model_validate({"reports": {"at_end": n != 1, "keep": 1}}))
        assert reporter.make_of_study("20260101-000000-s", home, threading.Event(), make) == ""
    assert [(w.study, w.trigger, w.run_id) for w in made] == [("20260101-000000-s", "end", "")] * 2
    assert arguments(made[0])[:2] == ["--study", "20260101-000000-s"]
    assert len(kept.all_reports(home)) == 1  # what is made by itself is thinned out
    (home / SETTINGS_FILE).write_text("[")
    assert reporter.make_of_study("s", home, threading.Event(), lambda *_: "no disk") == "no disk"  # as if nothing were set


def test_a_damaged_list_of_what_waits_is_put_aside(home, run):
    (home / "reports").mkdir()
    (home / "reports" / reporter.STATE_FILE).write_text('{"wanted": 3}')
    assert Reporter(home, lambda: True, Made()).n_waiting == 0
    assert (home / "reports" / f"{reporter.STATE_FILE}.damaged").exists()


def test_the_command_is_given_what_called_for_it():
    assert arguments(Wanted("r-1", "end", 1.25, 0.0)) == ["r-1", "--keep", "--trigger", "end", "--event-ts", "1.25", "--json"]
    assert arguments(Wanted("", "week", 2.0, 0.0))[:2] == ["--period", "week"]


def test_the_thread_ends_with_the_block(home, run):
    with Reporter(home, lambda: True, Made()) as one:
        deadline = time.monotonic() + 10
        while not (home / "reports" / reporter.STATE_FILE).exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert json.loads((home / "reports" / reporter.STATE_FILE).read_text())["wanted"] == []
    assert not one._thread.is_alive()


def test_without_a_chromium_a_pdf_is_one_clear_line(home, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RunError, match="a PDF needs Chromium"):
        pdf.write_pdf(tmp_path / "a.html", tmp_path / "a.pdf")
