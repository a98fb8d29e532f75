"""A log that a newer version wrote on: what is known is shown, and what is not is said."""

from core.runs.event_types import AttemptStarted, Ended
from core.runs.events import EventWriter
from core.runs.records import claim
from tests.support.events import episode
from tests.support.pages import caught_up, texts
from tests.support.runs import tiny_config


def test_events_of_a_newer_version_are_said_on_the_runs_page(visit, console, logo_folder):
    run = claim(console.home, tiny_config(logo_folder))
    with EventWriter(run.events_file) as log:
        log.write(0, AttemptStarted(0, 96))
        log.write(4, episode(1))
        log.write(8, Ended("STOPPED", "asked to stop"))
    with run.events_file.open("ab") as file:
        for seq in (4, 5):
            file.write(b'{"v":9,"seq":%d,"attempt":1,"ts":1.0,"kind":"episode","step":9,"data":{"another":"thing"}}\n' % seq)
    caught_up(console, run)
    page = visit("runs")
    assert not page.exception
    assert "2 events were written by a newer version of Tracewright and are not shown; update to see them." in texts(page)
