"""What the pages show of a Ray cluster: the test of a connection on System, and workers by node on Live."""

import os
import time

import pytest

from core.machine import Process
from core.runs.event_types import PhaseStarted, WorkerLost
from core.runs.events import EventWriter
from core.runs.records import claim, write_heartbeat
from core.runs.small_files import Heartbeat
from core.scheduling.probe import ask
from pages.views import cluster
from tests.support.pages import caught_up
from tests.support.runs import tiny_config

TOLD = {
    "n_workers": 3,
    "nodes": [{"node": "a/1", "cpus": 4.0, "cpus_reserved": 1.0, "load": 0.5, "memory_mb": 8000.0, "memory_free_mb": 6000.0}],
}


def test_without_ray_the_page_says_how_to_get_it(visit, monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    page = visit("system")
    assert not page.exception
    assert "`pip install -r requirements-ray.txt`" in page.info[0].value


@pytest.mark.parametrize(
    "told", [TOLD, TOLD | {"n_workers": 0}, "the cluster's nodes differ from this machine:\n  a/1: numpy is 1, here 2"]
)
def test_the_answer_of_a_cluster_is_shown(visit, monkeypatch, told):
    monkeypatch.setattr(cluster, "find_spec", lambda name: True)
    page = visit("system")
    page.session_state["cluster.told"] = told
    page.run()
    assert not page.exception
    if told is TOLD:
        assert "Connected to 1 node with the same versions as here; 3 workers" in page.success[0].value
        assert list(page.dataframe[0].value["CPUs reserved"]) == [1.0]
    elif isinstance(told, dict):
        assert page.warning[0].value.startswith("Connected to 1 node with the same versions as here, but no node has a free CPU: add nodes")
    else:
        assert page.error[0].value.splitlines()[-1] == r"a/1\: numpy is 1, here 2"


def test_a_cluster_that_can_not_be_reached_is_one_clear_line(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x")
    assert ask("not an address").startswith("'not an address' is no address of a Ray cluster; give HOST:PORT")


def test_live_shows_workers_by_node_of_a_run_on_a_cluster_alone(visit, console, logo_folder):
    for settings, expected in (({"backend": "ray"}, ["Workers by node: a\\_1: 2, b: 1"]), ({}, [])):
        run = claim(console.home, tiny_config(logo_folder, workers=settings))
        with EventWriter(run.events_file) as events:
            events.write(0, PhaseStarted("training"))
        write_heartbeat(run, Heartbeat(Process.of(os.getpid()), time.time(), 1, "training", nodes={"b": 1, "a_1": 2}))
        page = visit("live", run=run.run_id)
        assert not page.exception
        assert [c.value.partition(" ")[2] for c in page.caption if "Workers by node" in c.value] == expected


def test_live_says_which_node_was_lost_and_blames_no_logo(visit, console, recorded):
    run = recorded()
    with EventWriter(run.events_file) as events:
        events.attempt = 1
        events.write(96, WorkerLost("node b_2/f00", "crashed", "it left the cluster; its 3 conversions are done elsewhere"))
    caught_up(console, run)
    page = visit("live", run=run.run_id)
    assert not page.exception
    (told,) = [warning.value for warning in page.warning if "lost" in warning.value]
    assert told.startswith(
        "A node of the cluster was lost\\: b\\_2/f00, it left the cluster; its 3 conversions are done elsewhere. The run"
    )
