"""What the pages show of a Ray cluster: the test of a connection on System, forms that use one, and workers by node on Live."""

import json
import os
import socket
import time
from importlib.util import find_spec

import pytest

from core.errors import ConfigError
from core.machine import Process
from core.runs.event_types import PhaseStarted, WorkerLost
from core.runs.events import EventWriter
from core.runs.records import claim, write_heartbeat
from core.runs.small_files import Heartbeat
from core.scheduling import batch, known_cluster
from core.scheduling.batch import BatchStatus
from core.scheduling.probe import ask
from pages.views import cluster
from tests.support.batches import await_end, made_up_batch
from tests.support.pages import caught_up, texts
from tests.support.requirements import need
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
    need(find_spec("ray"), "Ray (pip install -r requirements-ray.txt)")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    told = ask(f"127.0.0.1:{port}")
    assert told.startswith(f"no Ray cluster answers at 127.0.0.1:{port} ([Errno 111] Connection refused); check the address and that")
    assert "\n" not in told


def test_forms_begin_with_the_cluster_that_was_reached_last(visit, console, monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: True)
    monkeypatch.setattr(cluster, "ask", lambda address: TOLD if address == "head:6379" else "nobody answers")
    for address, expected in (("other:1", "auto"), ("head:6379", "head:6379")):
        page = visit("system")
        next(field for field in page.text_input if field.label == "Address").set_value(address)
        next(button for button in page.button if button.label == "Test connection").click().run()
        assert not page.exception
        assert known_cluster.remembered(console.home) == expected
    page = visit("optimize")
    page.toggle(key="cluster.wanted").set_value(True).run()
    assert page.text_input(key="cluster.address").value == "head:6379"
    page = visit("new_run")
    assert page.text_input(key="set.preset.quick.workers.address").value == "head:6379"
    assert not [code for code in page.code if "head:6379" in code.value]  # a run on this machine needs none
    page.selectbox(key="set.preset.quick.workers.backend").set_value("ray").run()
    assert not page.exception
    assert [code for code in page.code if "workers.backend=ray" in code.value and "workers.address=head:6379" in code.value]


def test_optimize_says_why_a_cluster_can_not_be_used(visit, console, monkeypatch):
    """Ray is missing, what is given is no address, nobody answers there; and whoever may not choose a cluster sees no field."""
    need(find_spec("ray"), "Ray (pip install -r requirements-ray.txt)")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x")
    page = visit("optimize")
    page.toggle(key="cluster.wanted").set_value(True).run()
    page.text_input(key="cluster.address").set_value("not an address").run()
    page.button(key="samples").click().run()
    assert page.error[0].value.startswith("'not an address' is no address of a Ray cluster; give HOST\\:PORT")
    page.text_input(key="cluster.address").set_value("127.0.0.1:1").run()
    page.button(key="samples").click().run()
    assert not page.exception
    (made,) = batch.all_batches(console.home)
    assert made.request().cluster == "127.0.0.1:1"
    assert await_end(made) is BatchStatus.FAILED
    assert made.problem().startswith("no Ray cluster answers at 127.0.0.1:1 (")
    monkeypatch.setattr(batch, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"Ray is not installed, .* on 127.0.0.1:1; to use a cluster: pip install -r requirements-ray.txt"
    ):
        batch.again(console.home, made, made.request())
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    page = visit("optimize")
    assert "`pip install -r requirements-ray.txt`" in texts(page)
    monkeypatch.setattr(cluster, "may", lambda name: False)
    assert "requirements-ray" not in texts(visit("optimize"))


def test_live_shows_workers_by_node_of_a_run_on_a_cluster_alone(visit, console, logo_folder):
    for settings, expected in (({"backend": "ray"}, ["Workers by node: a\\_1: 2, b: 1"]), ({}, [])):
        run = claim(console.home, tiny_config(logo_folder, workers=settings))
        with EventWriter(run.events_file) as events:
            events.write(0, PhaseStarted("training"))
        write_heartbeat(run, Heartbeat(Process.of(os.getpid()), time.time(), 1, "training", nodes={"b": 1, "a_1": 2}))
        page = visit("live", run=run.run_id)
        assert not page.exception
        assert [c.value.partition(" ")[2] for c in page.caption if "Workers by node" in c.value] == expected


def test_optimize_says_that_nodes_were_lost(visit, console):
    file = made_up_batch(console.home).path / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"n_nodes_lost": 2}))
    page = visit("optimize", batch=file.parent.name)
    assert not page.exception
    assert [info.value.partition(";")[0] for info in page.info if "node" in info.value] == [
        "2 times a node of the Ray cluster was lost meanwhile"
    ]


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
