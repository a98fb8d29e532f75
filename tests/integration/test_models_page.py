"""The Models page without a browser: registering, promoting, notes, deleting with undo, two models, damage."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from core.agents.loading import load_model
from core.agents.registration import register
from core.models import registry
from core.packaging import folder
from tests.support.command_line import core
from tests.support.pages import caught_up, texts


@pytest.fixture
def run(console, recorded):
    found = recorded()
    caught_up(console, found)
    return found


def test_an_empty_registry_shows_the_one_that_ships_and_what_to_do(visit):
    page = visit("models")
    assert not page.exception
    assert "Built-in model" in texts(page)
    assert "A run can be registered once it has a checkpoint and an evaluation." in texts(page)


def test_a_run_is_registered_promoted_noted_deleted_and_put_back(visit, console, run):
    page = visit("models")
    (name,) = (field for field in page.text_input if field.label == "Name")
    name.set_value("mine")
    next(button for button in page.button if button.label == "Register").click().run(timeout=120)
    assert not page.exception
    (entry, shipped) = registry.models(console.home)
    assert entry.model_id == "mine-v1"
    assert entry.record.source == run.run_id
    assert entry.record.gain.n == len(registry.evaluated(entry)) > 0
    assert entry.record.data_digest
    page.text_area(key="note.mine-v1").set_value("good on text").run()
    assert registry.find("mine", console.home).record.note == "good on text"
    page.button(key="promote.mine-v1").click().run()
    assert load_model("default", console.home).name == str(entry.path)
    assert page.button(key="delete.mine-v1").disabled
    page.button(key="promote.shipped").click().run()
    page.button(key="delete.mine-v1").click().run()
    assert [each.model_id for each in registry.models(console.home)] == ["shipped"]
    page.button(key="models.undo.button").click().run()
    assert not page.exception
    assert registry.find("mine", console.home).record.note == "good on text"
    assert shipped.is_default


def test_a_run_that_the_address_names_is_offered_for_registering(visit, console, recorded, run):
    other = recorded(name="seed 2", seed=2)
    caught_up(console, other)
    for asked in (run, other):
        page = visit("models", run=asked.run_id)
        assert next(box for box in page.selectbox if box.label == "Run").value == asked.run_id
        assert page.expander[0].proto.expanded
    links = [link.proto for link in visit("runs").get("page_link") if link.proto.label == "Register as a model"]
    assert sorted(link.query_string for link in links) == sorted([f"run={run.run_id}", f"run={other.run_id}"])
    page = visit("models", run="20260101-000000-gone*")
    assert not page.exception
    assert "can't be registered" in page.warning[0].value


def test_what_can_not_be_registered_is_one_line(visit, run):
    page = visit("models")
    next(field for field in page.text_input if field.label == "Name").set_value("not a name")
    next(button for button in page.button if button.label == "Register").click().run(timeout=120)
    assert not page.exception
    assert "can't be called 'not a name'" in "\n".join(error.value.replace("\\", "") for error in page.error)


def test_two_models_are_held_against_each_other_by_the_address(visit, console, run):
    register(run.run_id, console.home, "one")
    other = register(run.run_id, console.home, "other")
    told = json.loads((other.path / registry.EVALUATED_FILE).read_text())
    for each in told["logos"]:
        each["gain"] += 0.25
    (other.path / registry.EVALUATED_FILE).write_text(json.dumps(told))
    page = visit("models", a="one-v1", b="other-v1")
    assert not page.exception
    assert "other-v1 is better: +0.250" in texts(page).replace("\\", "")
    assert "Both were trained on the same data." in texts(page)


@pytest.mark.parametrize("text", ["{", '{"name": "mine", "version": 0, "made": 1}'])
def test_a_damaged_model_is_shown_with_its_reason_and_the_others_stay(visit, console, text):
    entry = register("shipped", console.home, "mine")
    register("shipped", console.home, "whole")
    (entry.path / registry.RECORD_FILE).write_text(text)
    page = visit("models")
    assert not page.exception
    assert "register it again" in "\n".join(warning.value.replace("\\", "") for warning in page.warning)
    assert page.button(key="promote.mine-v1").disabled
    assert not page.button(key="promote.whole-v1").disabled


def test_the_export_is_a_zip_of_the_folder(console, run):
    entry = register(run.run_id, console.home, "mine")
    with zipfile.ZipFile(io.BytesIO(folder.as_zip(entry))) as archive:
        names = {name.removeprefix("mine-v1/") for name in archive.namelist()}
        card = archive.read("mine-v1/model_card.md").decode()
    assert {"policy.onnx", "runner.py", "README.md", registry.SB3_FILE} <= names
    assert f"of run `{run.run_id}`" in card
    assert "| all |" in card


def test_the_default_of_optimize_is_the_promoted_model(visit, console, run):
    entry = register(run.run_id, console.home, "mine")
    registry.promote(console.home, entry)
    page = visit("optimize")
    assert not page.exception
    assert page.selectbox(key="model").options[0] == "Default model, mine-v1"


def test_a_run_is_registered_and_promoted_by_one_command(recorded, home):
    run = recorded()
    ended = core("models", "register", run.run_id, "--name", "mine", "--promote", "--json", home=home)
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout.splitlines()[-1])
    assert (told["model"], told["is_default"], told["source"]) == ("mine-v1", True, run.run_id)
    assert told["gain"]["low"] <= told["gain"]["mean"] <= told["gain"]["high"]
