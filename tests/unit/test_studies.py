"""Studies without a training: spaces, files, the journal's two readings, what the trials say, and what becomes of the best."""

from __future__ import annotations

import json
import math
import os

import pytest
import yaml

from core.config.config import RunConfig
from core.config.text import load_config, presets, to_yaml, validate
from core.errors import ConfigError, StudyError
from core.machine import Process
from core.runs.event_types import AttemptStarted, Continued, Ended, EvaluationEnded, LogoEvaluated, Paused
from core.runs.events import Event, EventWriter
from core.runs.records import claim, read_trial, write_pruning, write_stop, write_trial
from core.runs.small_files import Trial
from core.runs.status import Status, overview, run_state
from core.scheduling import queue
from core.studies import analysis
from core.studies.results import summed
from core.studies.samplers import make_pruner, make_sampler, trial_config
from core.studies.space import Dimension, config_of, distributions, searchable
from core.studies.storage import load_optuna, open_storage, read_trials, repair, study_lock
from core.studies.study import StudyDir, StudyStatus, all_studies, create, delete, find_study, load_study, study_yaml, validate_study
from core.studies.winners import chosen, full_config, keep_as_preset, train_in_full
from tests.support.damages import OF_ANY_FILE
from tests.support.paths import ROOT
from tests.support.runs import tiny_config
from tests.support.studies import made_up, study_config

# A study's files


def test_a_study_goes_out_and_comes_back_the_same():
    usual = dict.fromkeys(searchable(RunConfig.model_validate({"curriculum": {"enabled": True}})))  # with ends at 0, which is not nothing
    config = study_config(name="Ünï: #1", max_worse_share=0.1, hours=2.5, space=usual)
    assert validate_study(yaml.safe_load(study_yaml(config)), RunConfig()) == config


def test_the_example_is_valid_and_finds_its_preset(home):
    config, base = load_study(ROOT / "configs" / "studies" / "learning.yaml", home, ["n_workers=1"])
    assert (config.n_trials, config.space["ppo.ent_coef"].high, base.n_workers, base.logos.variants) == (20, 0.02, 1, 0)
    assert trial_config(config, base).total_timesteps == 8192
    assert trial_config(config, base).evaluation.every_steps == 1024
    assert base.total_timesteps == 65_536


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"n_trials": None}, "would never end"),
        ({"objectives": ["gain", "bytes"]}, "with several objectives no trial can be pruned; set pruner to none, not median"),
        ({"objectives": ["bytes"]}, "pruning is by validation gain"),
        ({"objectives": ["gain", "gain"], "pruner": "none"}, "an objective occurs twice"),
        ({"objectives": ["gain", "bytes"], "pruner": "none", "sampler": "cmaes"}, "CMA-ES supports a single objective"),
        ({"sampler": "luck"}, "sampler = 'luck' is not allowed"),
        ({"trials": 3}, "trials: unknown setting"),
        ({"space": "all"}, "space must list settings"),
    ],
)
def test_a_study_that_is_not_possible_is_refused_in_one_line(changes, told):
    with pytest.raises(ConfigError, match=told) as raised:
        validate_study({"name": "a"} | changes, RunConfig())
    assert "\n" not in str(raised.value)


def test_a_study_takes_its_config_from_a_preset_a_file_or_a_run(home, tmp_path, logo_folder):
    (tmp_path / "mine.yaml").write_text(to_yaml(tiny_config(logo_folder)))
    run = claim(home, tiny_config(logo_folder, seed=7))
    file = tmp_path / "study.yaml"
    for source, seed in (("quick", 1), ("mine.yaml", 1), (run.run_id, 7)):
        file.write_text(yaml.safe_dump({"config": source, "set": {"n_workers": 1}}))
        config, base = load_study(file, home)
        assert (config.name, base.seed, base.n_workers) == ("study", seed, 1)
    file.write_text("config: elsewhere")
    with pytest.raises(ConfigError, match="'elsewhere' is not a preset"):
        load_study(file, home)


def test_a_study_is_found_by_id_name_beginning_and_folder(home):
    study = made_up(home, 3)
    for name in (study.study_id, "made up", study.study_id[:17], str(study.path)):
        assert find_study(name, home).study_id == study.study_id
    other = create(home, study_config(), RunConfig())
    assert [s.study_id for s in all_studies(home)] == [other.study_id, study.study_id]
    with pytest.raises(StudyError, match="it may be"):
        find_study("made up", home)
    with pytest.raises(StudyError, match="no study 'x'"):
        find_study("x", home)
    delete(other)
    assert [s.study_id for s in all_studies(home)] == [study.study_id]


def test_status_follows_from_process_and_end(home):
    study = create(home, study_config(), RunConfig())
    assert study.status()[0] is StudyStatus.NEW
    study.write_process(Process.of(os.getpid()))
    assert study.status()[0] is StudyStatus.RUNNING
    with pytest.raises(StudyError, match="stop it first"):
        delete(study)
    study.want_stop()
    assert study.status() == (StudyStatus.RUNNING, "stopping")
    study.write_process(Process(2**22 - 1, 1.0))
    assert study.status()[0] is StudyStatus.INTERRUPTED
    study.write_ended(StudyStatus.COMPLETED, "all done")
    assert study.status() == (StudyStatus.COMPLETED, "all done")
    study.begin()
    assert not study.is_stop_wanted()
    with pytest.raises(StudyError, match="nothing to stop"):
        study.want_stop()


@pytest.mark.parametrize("damage", OF_ANY_FILE.values(), ids=OF_ANY_FILE)
@pytest.mark.parametrize("name", ["study.yaml", "base.yaml", "journal.log", "ended.json", "process.json", "stop.json", "spent.json"])
def test_a_damaged_file_is_one_clear_error_and_hides_no_other_study(home, name, damage):
    from core.cli.search import _overview

    study = made_up(home, 3)
    damage(study.path / name)
    row = _overview(study)
    assert row["study"] == study.study_id
    if name in ("study.yaml", "base.yaml"):
        assert row["problem"]
    with study_lock(study), pytest.raises(StudyError, match="another process is already working on"), study_lock(study):
        pass


# The journal


def as_rows(study: StudyDir) -> list[tuple]:
    return [
        (
            t.number, t.state.name, t.values or [], t.params, t.intermediate_values, t.constraints, t.user_attrs,
            t.datetime_start.timestamp() if t.datetime_start else None, t.datetime_complete.timestamp() if t.datetime_complete else None,
        )
        for t in load_optuna(study).get_trials(deepcopy=False)
    ]  # fmt: skip


@pytest.mark.parametrize("changes", [{"max_worse_share": 0.2}, {"objectives": ["gain", "minutes", "bytes"], "pruner": "none"}])
def test_our_reading_of_a_journal_is_optunas(home, changes):
    study = made_up(home, 24, **changes)
    open_storage(study).create_new_study([1], "what a dashboard may add")  # type: ignore[list-item]
    own = [(t.number, t.state, t.values, t.params, t.intermediate, t.constraints, t.attrs, t.started, t.ended) for t in read_trials(study)]
    assert len(own) == 24
    assert own == as_rows(study)


def test_waiting_trials_and_those_added_whole_are_read_too(home):
    import optuna

    study = made_up(home, 2)
    found = optuna.load_study(study_name=study.study_id, storage=open_storage(study))
    found.enqueue_trial({"ppo.n_epochs": 3})
    space = {"ppo.n_epochs": optuna.distributions.IntDistribution(2, 10)}
    found.add_trial(optuna.create_trial(params={"ppo.n_epochs": 5}, distributions=space, value=0.5, intermediate_values={0: 0.25}))
    waiting, added = read_trials(study)[-2:]
    assert (waiting.state, waiting.is_finished) == ("WAITING", False)
    assert (added.state, added.values, added.params, added.intermediate) == ("COMPLETE", [0.5], {"ppo.n_epochs": 5}, {0: 0.25})


def test_a_torn_last_line_waits_and_is_cut_before_the_next_is_written(home):
    """A process killed in the middle of a write left half a line; what came after it could not be read for good."""
    study = made_up(home, 4)
    before = as_rows(study)
    with study.journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker_id":"x","stu')
    assert len(read_trials(study)) == 4
    assert repair(study.journal) == 33
    assert repair(study.journal) == 0
    import optuna

    optuna.load_study(study_name=study.study_id, storage=open_storage(study)).ask()
    assert as_rows(study)[:4] == before
    assert len(read_trials(study)) == 5


def test_a_journal_with_a_broken_line_is_named_with_it(home):
    study = made_up(home, 4)
    lines = study.journal.read_bytes().splitlines(keepends=True)
    study.journal.write_bytes(b"".join([*lines[:3], b"{broken\n", *lines[3:]]))
    with pytest.raises(StudyError, match=r"journal.log can't be read: line 4"):
        read_trials(study)


def test_a_sampler_never_draws_the_same_twice_however_often_it_is_made_anew(home):
    for sampler in ("random", "tpe"):
        config = study_config(sampler=sampler)
        rates = []
        study = made_up(home, 1, sampler=sampler)
        import optuna

        for _ in range(6):
            found = optuna.load_study(study_name=study.study_id, storage=open_storage(study))
            n = len(found.get_trials(deepcopy=False))
            found.sampler = make_sampler(config, n)
            rates.append(found.ask(fixed_distributions=distributions(config.space, RunConfig())).params["ppo.learning_rate"])
        assert len(set(rates)) == 6


@pytest.mark.parametrize(
    ("sampler", "kind"), [("tpe", "TPESampler"), ("random", "RandomSampler"), ("gp", "GPSampler"), ("cmaes", "CmaEsSampler")]
)
def test_every_sampler_draws_within_the_space(home, sampler, kind):
    config = study_config(sampler=sampler, startup_trials=3)
    assert type(make_sampler(config, 0)).__name__ == kind
    study = made_up(home, 10, sampler=sampler, startup_trials=3)
    import optuna

    found = optuna.load_study(study_name=study.study_id, storage=open_storage(study), sampler=make_sampler(config, 10))
    params = found.ask(fixed_distributions=distributions(config.space, RunConfig())).params
    assert set(params) == set(config.space)
    config_of(RunConfig(), config.space, params)


def test_pruners_begin_after_the_first_evaluation_and_know_the_whole_length():
    base = RunConfig(total_timesteps=8192)
    median = make_pruner(study_config(), base)
    assert median._n_warmup_steps == 2048
    hyperband = make_pruner(study_config(pruner="hyperband"), base)
    assert (hyperband._min_resource, hyperband._max_resource) == (1024, 8192)
    assert type(make_pruner(study_config(pruner="none"), base)).__name__ == "NopPruner"


# What a run's log comes to


def evaluated(gain: float, edge: float, **more) -> LogoEvaluated:
    figures = {"ssim": 0.9, "bytes": 900, "paths": 3, "cpu_s": 0.1, "failure": None, "ssim_default": 0.9, "bytes_default": 1000}
    figures |= {"paths_default": 3, "svg": "", "params": [], "colour": 1.0, "colour_default": 1.0, "edge_default": 0.1}
    return LogoEvaluated(logo="a", category="text", digest="d", gain=gain, edge=edge, **(figures | more))


def test_a_result_is_of_the_best_evaluation_and_counts_what_looks_worse():
    told = [
        (0, AttemptStarted()), (0, evaluated(0.1, 0.1)), (0, EvaluationEnded(0.1, bytes=1000)),
        (64, evaluated(0.5, 0.1)), (64, evaluated(0.5, 0.3)), (64, evaluated(-3, 0.1, failure="panic")), (64, evaluated(0.5, 0.05)),
        (64, EvaluationEnded(0.5, bytes=800.0)), (128, evaluated(0.4, 0.1)), (128, EvaluationEnded(0.4, bytes=700)),
        (160, EvaluationEnded(math.nan)), (160, Ended("COMPLETED")),
    ]  # fmt: skip
    events = [Event(i, 1, 100.0 + 6 * i, step, record) for i, (step, record) in enumerate(told)]
    found = summed(events)
    assert found is not None
    assert (found.gain, found.step, found.n_bytes, found.share_worse) == (0.5, 64, 800.0, 0.5)
    assert found.minutes == pytest.approx(11 * 6 / 60)
    assert [found.value(name) for name in ("gain", "bytes", "minutes")] == [0.5, 800.0, found.minutes]
    assert summed([]) is None


def test_minutes_of_training_leave_out_pauses_and_what_lies_between_attempts():
    told = [(0, 1, AttemptStarted()), (10, 1, Paused()), (70, 1, Continued()), (80, 1, EvaluationEnded(0.1)), (500, 2, AttemptStarted())]
    told.append((520, 2, Ended("COMPLETED")))
    found = summed([Event(i, attempt, 1000.0 + ts, 1, record) for i, (ts, attempt, record) in enumerate(told)])
    assert found is not None
    assert found.minutes == pytest.approx(40 / 60)


# Runs of a study


def test_a_run_that_its_study_gave_up_is_pruned_however_it_ended(home, logo_folder):
    run = claim(home, tiny_config(logo_folder))
    write_trial(run, Trial("s", 3))
    assert read_trial(run) == Trial("s", 3)
    with EventWriter(run.events_file) as events:
        events.write(0, AttemptStarted())
    assert run_state(run).status is Status.INTERRUPTED
    write_stop(run)
    write_pruning(run, "behind")
    assert (run_state(run).status, run_state(run).reason) == (Status.PRUNED, "behind")
    assert not run_state(run).status.can_resume
    assert (overview(run)["study"], overview(run)["trial"]) == ("s", 3)


# What becomes of it


def test_the_best_is_trained_in_full_with_the_bases_steps(home):
    study = made_up(home, 24, timesteps=256)
    best = chosen(study)
    config = full_config(study, best, ["n_workers=1"])
    assert config.total_timesteps == 1024
    assert config.ppo.learning_rate == best.params["ppo.learning_rate"]
    assert config.ppo.net_arch_pi == json.loads(best.params["ppo.net_arch_pi"])
    run = train_in_full(home, study, chosen(study, 2))
    assert [r.run_id for r, _ in queue.waiting(home)] == [run.run_id]
    assert read_trial(run) is None
    with pytest.raises(StudyError, match="has no trial 99; it has 0 to 23"):
        chosen(study, 99)
    with pytest.raises(StudyError, match="no trial is complete yet"):
        chosen(made_up(home, 1))
    with pytest.raises(StudyError, match="none of 15 complete trials meets the constraints"):
        chosen(made_up(home, 22, max_worse_share=0.0))


def test_a_preset_of_the_best_stands_beside_those_that_ship(home):
    study = made_up(home, 24)
    path = keep_as_preset(home, study, chosen(study), "tuned")
    assert list(presets())[-1] == "tuned"
    config = load_config(presets()["tuned"])
    assert config.name == "tuned"
    assert validate(config.model_dump(mode="json")) == config
    assert path.read_text() == to_yaml(config)
    keep_as_preset(home, study, chosen(study, 2), "tuned")
    with pytest.raises(ConfigError, match="is a built-in preset"):
        keep_as_preset(home, study, chosen(study), "quick")
    with pytest.raises(ConfigError, match="can't be called"):
        keep_as_preset(home, study, chosen(study), "../x")


def test_dimensions_say_what_they_hold():
    assert Dimension(low=1e-4, high=0.01, log=True).text() == "0.0001 to 0.01, log scale"
    assert Dimension(choices=[[8], "tanh", 0.5]).text() == "[8], tanh, 0.5"
    assert analysis.legend({"a": Dimension(choices=[1])}) == [{"setting": "a", "values": "1"}]
