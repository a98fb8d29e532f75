"""The registry of models: versions, the default, notes, deleting with undo, comparing, damage; and the card of an export."""

from __future__ import annotations

import json
import os
import shutil
import time

import pytest
import yaml

from core.agents.loading import load_model
from core.agents.registration import register
from core.cli.app import app
from core.config.config import RunConfig
from core.errors import RunError
from core.models import registry
from core.models.facts import compare, facts_of, interval
from core.models.registry import Entry, Evaluated, Interval, ModelRecord
from core.packaging import folder
from core.packaging.card import About, card, hugging_face
from core.runs.event_types import AttemptStarted, EvaluationEnded, LogoEvaluated, LogosLoaded
from core.runs.events import EventWriter
from core.runs.records import claim
from core.tracing.params import DEFAULTS


def shipped_as(home, name: str = "mine", note: str = "") -> Entry:
    """The model that ships, registered under a name of ours."""
    return register("shipped", home, name, note)


def with_gains(home, gains: dict[str, float], name: str = "mine", digest: str = "d1") -> Entry:
    """A registered model with a gain on each of some logos, the first half of which are of one category."""
    logos = [Evaluated(key, key, "text" if k < len(gains) / 2 else "simple", gain, 0.9, 100) for k, (key, gain) in enumerate(gains.items())]
    source = registry.SHIPPED_FOLDER

    def fill(to):
        shutil.copytree(source, to, dirs_exist_ok=True)
        (to / registry.EVALUATED_FILE).write_text(json.dumps({"logos": [vars(each) for each in logos]}))

    record = ModelRecord(name, 1, time.time(), "a-run", True, "best", 640, 640, interval(list(gains.values())), data_digest=digest)
    return registry.add(home, record, fill)


def run_app(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        app(list(arguments))
    return ended.value.code or 0


def test_without_any_the_default_is_the_one_that_ships(home):
    (only,) = registry.models(home)
    assert only.is_shipped
    assert only.is_default
    assert registry.default_folder(home) == registry.SHIPPED_FOLDER
    assert load_model("default", home).name == str(registry.SHIPPED_FOLDER)


def test_versions_count_on_per_name_and_are_never_given_twice(home):
    assert [shipped_as(home).model_id for _ in range(2)] == ["mine-v1", "mine-v2"]
    assert shipped_as(home, "other").model_id == "other-v1"
    registry.discard(home, registry.find("mine-v2", home))
    assert shipped_as(home).model_id == "mine-v3"  # the second may come back
    assert registry.find("mine", home).model_id == "mine-v3"  # the newest by its name
    assert [entry.model_id for entry in registry.models(home)][-1] == "shipped"


def test_promoted_is_what_default_means_until_the_one_that_ships_is_promoted_again(home):
    entry = shipped_as(home)
    registry.promote(home, entry)
    assert load_model("default", home).name == str(entry.path)
    assert registry.find("default", home).model_id == "mine-v1"
    assert [e.model_id for e in registry.models(home) if e.is_default] == ["mine-v1"]
    registry.promote(home, registry.find("shipped", home))
    assert load_model("default", home).name == str(registry.SHIPPED_FOLDER)


def test_a_registered_model_is_loaded_by_its_id(home):
    entry = shipped_as(home)
    assert load_model("mine-v1", home).name == str(entry.path)
    assert load_model("shipped", home).name == str(registry.SHIPPED_FOLDER)


def test_a_default_that_is_gone_is_told_instead_of_another_one_being_used(home):
    entry = shipped_as(home)
    registry.promote(home, entry)
    shutil.rmtree(entry.path)
    with pytest.raises(RunError, match="the default model mine-v1 is no longer registered"):
        load_model("default", home)


@pytest.mark.parametrize("text", ["{", "[]", '{"model": 3}', '{"model": "../../etc"}', "\xff"])
def test_a_damaged_default_is_one_clear_line_and_the_list_is_still_there(home, text):
    shipped_as(home)
    (registry.folder_of(home) / registry.DEFAULT_FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match="promote"):
        registry.default_folder(home)
    entries = registry.models(home)
    assert [entry.model_id for entry in entries] == ["mine-v1", "shipped"]
    assert "promote" in entries[-1].problem
    registry.promote(home, entries[0])
    assert registry.default_id(home) == "mine-v1"


def test_a_deleted_model_can_be_put_back_and_is_gone_after_a_week(home):
    entry = shipped_as(home, note="good on text")
    registry.discard(home, entry)
    assert [e.model_id for e in registry.models(home)] == ["shipped"]
    assert [e.model_id for e in registry.discarded(home)] == ["mine-v1"]
    back = registry.restore(home, "mine-v1")
    assert back.record is not None
    assert back.record.note == "good on text"
    registry.discard(home, back)
    assert registry.empty(home, registry.KEPT_S) == 0
    trashed = registry.discarded(home)[0].path
    old = time.time() - registry.KEPT_S - 1
    os.utime(trashed, (old, old))
    assert registry.empty(home, registry.KEPT_S) == 1
    with pytest.raises(RunError, match="not among the deleted models"):
        registry.restore(home, "mine-v1")


def test_neither_the_default_nor_the_one_that_ships_can_be_deleted(home):
    entry = shipped_as(home)
    registry.promote(home, entry)
    with pytest.raises(RunError, match="promote another model first"):
        registry.discard(home, registry.find("mine-v1", home))
    with pytest.raises(RunError, match="built-in model can't be deleted"):
        registry.discard(home, registry.find("shipped", home))
    assert entry.path.is_dir()


@pytest.mark.parametrize("name", ["../x", "a b", "", "x" * 61, "mine-v3", "default", "shipped", ".x"])
def test_names_that_a_model_can_not_have(home, name):
    if name:
        with pytest.raises(RunError, match="a model can't be called"):
            register("shipped", home, name)
    else:
        assert register("shipped", home, name).record.name == "model"  # its config's
    assert not [path for path in registry.folder_of(home).glob("*") if path.name != "model-v1"]


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "mine"}', '{"name": 1, "version": 1, "made": 1}', None])
def test_a_damaged_model_is_listed_with_its_reason_and_can_be_deleted(home, text):
    entry = shipped_as(home)
    file = entry.path / registry.RECORD_FILE
    file.unlink() if text is None else file.write_text(text)
    found = registry.find("mine-v1", home)
    assert found.record is None
    assert "register" in found.problem
    with pytest.raises(RunError, match="register"):
        registry.promote(home, found)
    with pytest.raises(RunError, match="register"):
        folder.files_of(found)
    registry.discard(home, found)
    assert [e.model_id for e in registry.models(home)] == ["shipped"]


def test_a_note_is_kept_and_replaced(home):
    shipped_as(home, note="first")
    registry.annotate(registry.find("mine", home), " second ")
    assert registry.find("mine", home).record.note == "second"
    with pytest.raises(RunError, match="can't have a note"):
        registry.annotate(registry.find("shipped", home), "x")


def test_two_models_are_compared_on_the_logos_that_both_know(home):
    one = with_gains(home, {f"d{i}": 0.5 for i in range(8)} | {"only": 3.0})
    other = with_gains(home, {f"d{i}": 0.5 + 0.1 * (i + 1) for i in range(8)}, "other")
    found = compare(one, other)
    assert found.n_logos == 8
    assert found.paired.difference == pytest.approx(0.45)
    assert (found.paired.wins, found.paired.losses) == (8, 0)
    assert set(found.by_category) == {"text", "simple"}
    assert found.has_same_data
    assert found.settings == {}
    assert found.verdict().startswith("other-v1 is better: +0.450")
    assert compare(other, one).verdict().startswith("mine-v1 is worse: -0.450")
    assert compare(one, one).verdict().startswith("No significant difference")
    assert compare(one, registry.find("shipped", home)).paired is None


def test_settings_that_differ_are_named(home):
    one, other = shipped_as(home), shipped_as(home, "other")
    file = other.path / "preprocess.json"
    told = json.loads(file.read_text())
    told["config"]["ppo"]["learning_rate"] = 0.5
    file.write_text(json.dumps(told))
    assert compare(one, other).settings == {"ppo.learning_rate": (0.002, 0.5)}


def evaluated(digest: str, gain: float) -> LogoEvaluated:
    return LogoEvaluated(digest, "text", digest, gain, 0.9, 100, 3, 0.01, None, 0.8, 200, 5, "", list(DEFAULTS.as_tuple()))


def test_facts_are_of_the_last_whole_evaluation_up_to_the_checkpoint(home):
    run = claim(home, RunConfig())
    with EventWriter(run.events_file) as log:
        log.write(0, AttemptStarted())
        log.write(0, LogosLoaded("somewhere", digest="abc", n_logos=12))
        for step, gain in ((100, 0.1), (200, 0.2), (300, 0.9)):
            for name in ("a", "b"):
                log.write(step, evaluated(name, gain))
            log.write(step, EvaluationEnded(gain, over_single=0.3, over_single_low=0.1, over_single_high=0.5, n_logos=2))
        log.write(0, AttemptStarted(from_step=200))  # what the first attempt did after that is done again
        log.write(300, evaluated("a", 0.7))
        log.write(300, EvaluationEnded(0.7))
        log.write(400, evaluated("a", 0.8))  # not finished
    facts = facts_of(run, 300)
    assert (facts.evaluated_step, facts.gain.mean, facts.gain.n, facts.over_single) == (300, 0.7, 1, None)
    assert (facts.data, facts.data_digest, facts.n_logos) == ("somewhere", "abc", 12)
    assert facts_of(run, 1000).evaluated_step == 300
    assert facts_of(run, 250).over_single == Interval(0.3, 0.1, 0.5, 2)
    assert facts_of(run, 250).by_category["text"].n == 2
    assert facts_of(run, 50).gain is None


def about_with_figures(**more) -> About:
    record = ModelRecord(
        "mine", 2, 0.0, "a-run", True, "best", 640, 600, Interval(0.5, 0.4, 0.6, 30), {"text": Interval(0.3, 0.1, 0.5, 8)}, **more
    )
    return About(Entry("mine-v2", registry.SHIPPED_FOLDER, record), RunConfig(), {"vtracer": "1.0.0a4"}, True)


def test_the_card_says_what_one_should_know_before_trusting_the_model():
    text = card(about_with_figures(over_single=Interval(0.01, -0.1, 0.1, 30), data_digest="abc", note="for text"))
    for wanted in (
        "# Model card: mine-v2", "> for text", "| text | 8 | +0.300 (+0.100 to +0.500) |", "**no better than** the best single setting",
        "text: fewer than ten logos", "digest `abc`", "Checkpoint `best` of run `a-run`, step 640", "vtracer 1.0.0a4", "a pickle",
        "## Limits", "| `color_precision` | 1 to 8 | 6 | bits |",
    ):  # fmt: skip
        assert wanted in text, wanted


def test_hugging_faces_header_is_yaml_with_the_figures():
    about = about_with_figures()
    text = hugging_face(about, card(about))
    _, header, body = text.split("---\n", 2)
    told = yaml.safe_load(header)
    assert told["license"] == "mit"
    (model,) = told["model-index"]
    assert model["name"] == "mine-v2"
    assert [result["dataset"]["name"] for result in model["results"]] == ["validation logos", "validation logos: text"]
    assert model["results"][0]["metrics"][0]["value"] == "0.500 (0.400 to 0.600)"
    assert body.strip().startswith("# Model card")


def test_an_export_is_a_model_folder_too_and_names_every_range(home, tmp_path):
    files = folder.export(registry.find("shipped", home), tmp_path / "out", lambda what, n_done, n_all: None)
    names = {file.name for file in files}
    assert {
        "policy.onnx",
        "preprocess.json",
        "parameters.json",
        "model_card.md",
        "README.md",
        "runner.py",
        "requirements.txt",
        "LICENSE",
    } <= names
    assert "{" not in (tmp_path / "out" / "model_card.md").read_text()
    assert len(json.loads((tmp_path / "out" / "parameters.json").read_text())["parameters"]) == 10
    assert load_model(str(tmp_path / "out"), home).spec == load_model("shipped", home).spec
    assert register(str(tmp_path / "out"), home, "again").model_id == "again-v1"


def test_the_command_line_lists_promotes_deletes_and_restores(home, capsys):
    shipped_as(home, note="for text")
    assert run_app("models", "promote", "mine-v1", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"default": "mine-v1"}
    assert run_app("models", "list", "--json") == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]
    assert [(each["model"], each["is_default"]) for each in told] == [("mine-v1", True), ("shipped", False)]
    assert run_app("models", "list") == 0
    assert capsys.readouterr().out.startswith("* mine-v1")
    assert run_app("models", "delete", "mine-v1") == 2
    assert "promote another model first" in capsys.readouterr().err
    assert run_app("models", "promote", "shipped") == 0
    assert run_app("models", "delete", "mine-v1") == 0
    assert run_app("models", "list", "--deleted") == 0
    assert "mine-v1" in capsys.readouterr().out
    assert run_app("models", "restore", "mine-v1") == 0
    assert run_app("models", "note", "mine", "for all") == 0
    assert run_app("models", "show", "mine") == 0
    assert "note        for all" in capsys.readouterr().out
    assert run_app("models", "compare", "mine", "shipped") == 0
    assert "no evaluated logos in common" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["show", "x"], "no model 'x'"),
        (["register", "x"], "no run 'x'"),
        (["register", "shipped", "--name", "a b"], "a model can't be called 'a b'"),
        (["restore", "x"], "x is not among the deleted models"),
        (["export", "x", "--out", "y"], "no model 'x'"),
        (["compare", "shipped", "x"], "no model 'x'"),
    ],
)
def test_bad_input_is_one_clear_line(home, capsys, arguments, told):
    assert run_app("models", *arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
