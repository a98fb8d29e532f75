"""One damaged file fells nothing: a table of damages to a run's files, its log and the installation, beside a healthy run."""

import json

import pytest
import typer
from click.testing import CliRunner

from core.cli.app import app
from core.notifications.notifier import Notifier
from core.runs.events import read_events
from core.runs.records import claim, problems, write_queue_entry
from core.runs.run_dir import all_runs
from core.runs.small_files import QueueEntry
from core.runs.status import Status, overview, run_state
from core.scheduling import batch, queue
from core.scheduling.scheduler import Scheduler
from storage.ingest import catch_up
from storage.store import Store
from tests.support import damages
from tests.support.damages import N_EPISODES, grouped, made, ruins
from tests.support.pages import PAGES, caught_up
from tests.support.runs import tiny_config

TABS = {
    "live": ("Success", "Parameters", "Rewards", "Losses", "Health", "Machine", "Events and log", "Export"),
    "compare": ("Figures and settings", "Logo by logo", "Over time", "Seeds", "Efficiency", "Importance"),
    "gallery": ("Compare", "Over time", "Trade-off"),
    "curriculum": ("What happened", "Rules and replay"),
}
SMALL, LOGS, INSTALLATION = damages.of_small_files(), damages.of_logs(), damages.of_installation()
COMMANDS = typer.main.get_command(app)  # built once: that takes longer than most commands


@pytest.fixture
def healthy(home):
    return made(home, "healthy")


@pytest.fixture
def waiting(home):
    return queue.submit(home, tiny_config("builtin", name="waiting"))


def looks_whole(home, healthy, waiting, store, offsets) -> dict[str, dict]:
    """Everything that goes through all runs gets through, and the healthy ones are as they were. Returns the lines of the list."""
    listed = CliRunner().invoke(COMMANDS, ["runs", "list", "--json"], catch_exceptions=False)
    assert listed.exit_code == 0, listed.output
    rows = {row["run_id"]: row for row in json.loads(listed.stdout)["runs"]}
    assert rows[healthy.run_id]["status"] == "COMPLETED"
    assert rows[healthy.run_id]["problems"] == []
    catch_up(store, home, offsets)
    catch_up(store, home, offsets)
    found = store.rows("SELECT count(*) FROM episodes JOIN runs USING (run) WHERE run_id = ?", [healthy.run_id])
    assert found == [(N_EPISODES,)]
    launched = []
    write_queue_entry(waiting, QueueEntry(1.0))
    scheduler = Scheduler(home, lambda run, checkpoint, cause: launched.append(run.run_id))
    try:
        scheduler.tick()
    finally:
        scheduler.release()
    assert waiting.run_id in launched
    Notifier(home, lambda: True, lambda *_: "").tick()
    assert CliRunner().invoke(COMMANDS, ["runs", "alerts", "--json"], catch_exceptions=False).exit_code == 0
    return rows


def test_the_table_is_long():
    assert len(SMALL) >= 70
    assert len(LOGS) >= 70
    assert len(INSTALLATION) >= 70


@pytest.mark.parametrize("group", grouped(SMALL))
def test_a_damaged_small_file_is_named_and_fells_nothing(home, healthy, waiting, group):
    hurt = {}
    for what in grouped(SMALL)[group]:
        name, damage = SMALL[what]
        run = hurt[what] = made(home, "hurt")
        damages.remove(run.path / name)
        damage(run.path / name)
    with Store(None) as store:
        rows = looks_whole(home, healthy, waiting, store, {})
    for what, run in hurt.items():
        problems_said = rows[run.run_id]["problems"]
        assert any(SMALL[what][0] in problem for problem in problems_said), (what, problems_said)
        assert run_state(run).status is Status.COMPLETED, what


@pytest.mark.parametrize("group", grouped(LOGS))
def test_a_damaged_log_fells_nothing_and_is_read_alike_live_and_later(home, healthy, waiting, group):
    hurt = {what: made(home, "hurt") for what in grouped(LOGS)[group]}
    with Store(None) as store, Store(None) as later:
        offsets: dict[str, int] = {}
        catch_up(store, home, offsets)
        for what, run in hurt.items():
            LOGS[what](run.events_file)
        rows = looks_whole(home, healthy, waiting, store, offsets)
        catch_up(later, home, {})
        for what, run in hurt.items():
            counted = "SELECT count(*), min(e.step), max(e.step) FROM episodes e JOIN runs USING (run) WHERE run_id = ?"
            if run.events_file.is_file():
                assert store.rows(counted, [run.run_id]) == later.rows(counted, [run.run_id]), what
                n_kept = sum(event.kind == "episode" for event in read_events(run.events_file))
                assert store.rows(counted, [run.run_id])[0][0] >= n_kept, what
            assert run.run_id in rows


@pytest.mark.parametrize("group", sorted(grouped(INSTALLATION)))
def test_a_damaged_file_of_the_installation_fells_nothing(home, healthy, waiting, group):
    for what in grouped(INSTALLATION)[group]:
        for path in home.iterdir():
            if path.name not in (healthy.run_id, waiting.run_id):
                damages.remove(path)
        INSTALLATION[what](home)
        with Store(None) as store:
            looks_whole(home, healthy, waiting, store, {})
        for found in batch.all_batches(home):
            found.status(), found.request(), found.result(), found.progress(), found.problem_with_files()
        for command in (["curricula", "list"], ["runs", "queue"]):
            result = CliRunner().invoke(COMMANDS, command)
            assert result.exception is None or isinstance(result.exception, SystemExit), (what, command, result.exception)


def test_what_a_newer_version_ended_is_unknown_and_not_restarted(home):
    run = claim(home, tiny_config("builtin", recovery={"enabled": True}))
    damages.healthy_log(run)
    LOGS["ended with an unknown status"](run.events_file)
    state = run_state(run)
    assert state.status is Status.UNKNOWN
    assert "ASCENDED" in state.reason
    scheduler = Scheduler(home, lambda *_: pytest.fail("it was started again"))
    try:
        scheduler.tick()
    finally:
        scheduler.release()


def test_a_run_without_its_config_is_listed_still(home):
    run = claim(home, tiny_config("builtin"))
    damages.healthy_log(run)
    run.config_file.unlink()
    assert [found.run_id for found in all_runs(home)] == [run.run_id]
    assert "config.yaml" in problems(run)[0]
    assert overview(run)["status"] == "COMPLETED"


@pytest.mark.timeout(300)
def test_every_page_opens_on_ruins(home, console, visit):
    healthy, hurt = ruins(home)
    for run in (healthy, hurt["every line"]):
        caught_up(console, run)
    fallen = {}

    def opens(page, **query):
        app_test = visit(page, **query)
        if app_test.exception:
            fallen[page, str(query)] = app_test.exception[0].message[-1500:]

    for page in PAGES:
        opens(page)
    for page in ("live", "new_run"):
        for run in list(hurt.values())[::45]:
            opens(page, run=run.run_id, clone=run.run_id, fork=run.run_id)
    worst = hurt["every line"].run_id
    for what, tabs in TABS.items():
        for tab in tabs:
            opens(what, run=[worst, healthy.run_id] if what == "compare" else worst, **{"view" if what == "gallery" else "tab": tab})
    opens("live", run=worst, axis="episode")
    opens("runs", find="damaged")
    assert not fallen, "\n".join(f"{what}\n{trace}" for what, trace in fallen.items())


def test_a_summary_of_a_week_leaves_out_what_cannot_be_read(home, healthy, tmp_path):
    hurt = made(home, "hurt")
    LOGS["a folder"](hurt.events_file)
    told = CliRunner().invoke(COMMANDS, ["report", "--period", "week", "--out", str(tmp_path / "week.html")], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    assert f"{hurt.run_id} is left out: events.jsonl can't be read" in told.output
    assert "1 run trained" in (tmp_path / "week.html").read_text()
    told = CliRunner().invoke(COMMANDS, ["report", hurt.run_id, "--out", str(tmp_path / "run.html")], catch_exceptions=False)
    assert told.exit_code
    assert "events.jsonl" in told.output


def test_a_run_is_shown_as_json_whatever_its_log_says(home):
    _, hurt = ruins(home)
    fallen = {}
    for what in ("every line", *grouped(LOGS)):
        told = CliRunner().invoke(COMMANDS, ["runs", "show", hurt[what].run_id, "--json"])
        if told.exit_code not in (0, 1) or (told.exception and not isinstance(told.exception, SystemExit)):
            fallen[what] = repr(told.exception)
        elif told.exit_code == 0:
            assert json.loads(told.output.splitlines()[-1])["run_id"] == hurt[what].run_id
    assert not fallen
