"""Reports of studies: every section, in plain words, whatever is there of the trials' runs; the command line and the pages agree."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.config.config import RunConfig
from core.config.text import to_yaml
from core.errors import ConfigError, StudyError
from core.reports import kept
from core.runs.records import write_config, write_label
from core.runs.run_dir import RunDir
from core.studies import analysis
from core.studies.related import related
from core.studies.space import config_of
from core.studies.storage import TrialRow, read_trials
from core.studies.study import StudyDir, StudyStatus, create, load_study
from core.studies.winners import full_config
from pages.views.reports import kinds
from pages.views.reports.document import MAX_BYTES, to_html
from pages.views.reports.study_facts import runs_of
from storage.ingest import read_new
from storage.store import Store
from tests.support.html import parsed, problems, sections
from tests.support.pages import texts
from tests.support.paths import ROOT
from tests.support.studies import made_up, study_config

SECTIONS = [
    "Summary", "The best trials", "Progress", "Importance of settings", "Trade-off", "Constraints", "Comparison with baselines",
    "Best and worst logos", "Timeline", "What was searched", "Data card", "How to reproduce it",
]  # fmt: skip
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(1)> & \"'{{ 7*7 }}"


def made(study: StudyDir) -> str:
    """Its report, as the command line makes it."""
    runs = runs_of(study)
    with Store(None) as store:
        for run in runs:
            read_new(store, run.run_id, run.events_file, {})
        return to_html(kinds.build("study", kinds.Request(store, runs, study=study))).decode()


def said(text: str) -> str:
    """What the page says in words, of scripts nothing."""
    return " ".join(parsed(text).to_text().split())


def best_of(study: StudyDir) -> TrialRow:
    found = analysis.best(read_trials(study), study.config())
    assert found is not None
    return found


def worst_of(study: StudyDir) -> TrialRow:
    return min(analysis.complete(read_trials(study)), key=lambda trial: trial.values[0])


def give_base_values(study: StudyDir, trial: TrialRow) -> None:
    """Make the base one whose own values are those of a trial."""
    base, _ = config_of(study.base(), study.config().space, trial.params)
    study.base_file.write_text(to_yaml(base))


def move(run: RunDir, to: Path) -> RunDir:
    shutil.move(run.path, to)
    return RunDir(to)


def command(*arguments: str, rc: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "core", "report", *arguments, "--json"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == rc, done.stderr
    return json.loads(done.stdout.strip().splitlines()[-1]) if rc == 0 else done.stderr


def test_a_study_whose_runs_are_there_is_told_whole(home, recorded):
    study = made_up(home, 40, max_worse_share=0.2)
    best, worst = best_of(study), worst_of(study)
    give_base_values(study, worst)
    move(recorded(name="a", seed=1), study.run_of(best.number).path)
    move(recorded(name="b", seed=2), study.run_of(worst.number).path)
    study.write_ended(StudyStatus.COMPLETED, "all 40 trials are done")
    text = made(study)
    assert problems(text) == []
    assert sections(text) == SECTIONS
    assert len(text) < MAX_BYTES
    told = said(text)
    counts = analysis.counts(read_trials(study))
    n_against = sum(analysis.kind_of(trial) == "infeasible" for trial in read_trials(study))
    assert "The study made up ran 40 trials over 4 settings" in told
    assert f"{counts['COMPLETE']} complete ({n_against} of them violating a constraint)" in told
    assert f"{counts['PRUNED']} pruned, {counts['FAIL']} failed, 1 running. It completed: all 40 trials are done." in told
    assert f"The best is trial {best.number}: validation gain +{best.values[0]:.3f}" in told
    assert f"Against the base config's own values (trial {worst.number}), on the same" in told
    assert "validation logos that it was not trained on" in told
    assert "a single fixed setting for all logos" in told or "better than the best single setting" in told
    assert "PED-ANOVA" in told
    assert "ppo.learning_rate matters most" in told
    assert "At most 20% of a trial's results may look worse" in told
    assert "made to fail" in told
    assert "python -m core search --config study.yaml" in told
    assert text.count("data:image/svg+xml;base64,") >= 2  # the best trial's logos, before and after
    assert text.count('class="curve"') >= 9  # history, evaluations, importance, parallel, four slices, timeline
    assert "interval unknown" not in told


def test_what_is_not_known_is_said(home):
    study = made_up(home, 24)
    told = said(made(study))
    assert "Limitations of these figures:" in told
    assert "interval unknown" in told
    assert f"The uncertainty of trial {best_of(study).number} is unknown: its run no longer exists" in told
    assert "No trial used its values and it has no run here" in told
    assert "it is unknown whether the search found anything better" in told
    assert "the effect of other seeds was not measured" in told
    assert "None was set: trials count no matter how many" in told
    assert "The only objective is the" in told


def test_a_base_that_nothing_beats_is_called_that(home):
    study = made_up(home, 24)
    give_base_values(study, best_of(study))
    assert "the search found nothing better than its starting point" in said(made(study))
    give_base_values(study, worst_of(study))
    told = said(made(study))
    assert f"The base config's own values (trial {worst_of(study).number}) reached {worst_of(study).values[0]:+.3f}" in told
    assert "Whether that is more than chance is unknown" in told


def test_full_trainings_of_the_best_and_of_the_base_are_found_and_compared(home, recorded):
    study = made_up(home, 24)
    full, base = full_config(study, best_of(study)), study.base()
    mine, theirs = recorded(name="a", seed=1), recorded(name="b", seed=2)
    write_config(mine, full.model_copy(update={"seed": 9, "name": "of my own"}))
    write_config(theirs, base.model_copy(update={"n_workers": 1}))
    found = related(study, study.config(), read_trials(study))
    assert [run.run_id for run in found.full] == [mine.run_id]
    assert [run.run_id for run in found.base] == [theirs.run_id]
    told = said(made(study))
    assert f"Its settings were trained in full, as {mine.run_id} (1,024 steps)" in told
    assert f"Against a full training of the base config ({theirs.run_id}), on the same" in told
    mine.config_file.write_text("{broken")
    study.write_config(study.config().model_copy(update={"timesteps": 512}))
    told = said(made(study))
    assert f"{theirs.run_id} is a run of it, with 1,024 steps" in told
    assert "it is unknown which is better" in told
    assert f"python -m core search train {study.study_id}" in told
    study.write_config(study.config().model_copy(update={"timesteps": None}))
    write_config(mine, full.model_copy(update={"seed": 9}))
    theirs.config_file.write_text("{broken")
    assert "There is no full training of the base config" in said(made(study))


@pytest.mark.parametrize("objectives", [["gain", "minutes"], ["bytes", "gain", "minutes"]])
def test_several_objectives_have_their_front(home, objectives):
    study = made_up(home, 30, objectives=objectives, pruner="none")
    text = made(study)
    assert problems(text) == []
    assert sections(text) == SECTIONS
    front = analysis.front(read_trials(study), study.config())
    told = said(text)
    assert f"{len(front)} trial{'s are' if len(front) > 1 else ' is'} on the Pareto front" in told
    assert "The Pareto front, sorted by the first objective." in told
    assert f"{len(front)} trials are on the Pareto front" in told
    assert "draws after the first trials will differ" in told


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_a_study_that_has_hardly_begun_has_every_section(home, n):
    study = made_up(home, n) if n else create(home, study_config(), RunConfig())
    text = made(study)
    assert problems(text) == []
    assert sections(text) == SECTIONS
    if n < 2:  # the last trial of a made-up study runs
        assert "No trial is complete yet, so the best settings are not known" in said(text)


def test_constraints_that_no_trial_meets_leave_no_best(home):
    study = made_up(home, 24, max_worse_share=0.05)
    text = made(study)
    assert problems(text) == []
    assert "complete trials meets the constraints, so the best settings are not known" in said(text)


def test_trials_that_all_came_to_the_same_are_no_reason_to_fail(home):
    space = {"ppo.learning_rate": {"choices": [0.001]}, "ppo.n_epochs": {"choices": [3]}, "ppo.activation": {"choices": ["tanh"]}}
    study = made_up(home, 12, space=space)
    text = made(study)
    assert problems(text) == []
    assert sections(text) == SECTIONS


def test_no_text_of_a_person_is_markup(home, recorded):
    study = made_up(home, 24, name=HOSTILE[:60], note=HOSTILE)
    write_label(move(recorded(name="a", seed=1), study.run_of(best_of(study).number).path), HOSTILE)
    study.write_ended(StudyStatus.FAILED, HOSTILE)
    text = made(study)
    assert problems(text) == []
    assert "<img src=x" not in text
    assert "alert(1)</script>" not in text
    assert "{{ 7*7 }}" in text


def test_many_trials_and_settings_stay_below_the_limit(home):
    names = "learning_rate n_epochs activation net_arch_pi clip_range ent_coef gamma gae_lambda vf_coef max_grad_norm target_kl group_size"
    space = dict.fromkeys([*(f"ppo.{name}" for name in names.split()), "reward.quality", "reward.size"])
    study = made_up(home, 1600, n_steps=30, space=space)
    text = made(study)
    assert problems(text) == []
    assert len(text.encode()) < MAX_BYTES / 2
    told = said(text)
    assert "The 12 most important of 14 settings are plotted below" in told
    assert "the best and the newest 1500 of 1,600 trials" in told


def test_what_the_report_holds_makes_the_same_study_again(home, tmp_path):
    study = made_up(home, 6)
    with Store(None) as store:
        document = kinds.build("study", kinds.Request(store, [], study=study))
    for section in document.sections:
        for block in section.blocks:
            if name := getattr(block, "file", ""):
                (tmp_path / name).write_text(block.text)
    assert (tmp_path / "trials.csv").read_text().count("\n") == 7
    config, base = load_study(tmp_path / "study.yaml", home)
    assert config == study.config()
    assert base == study.base()


def test_a_damaged_study_is_one_clear_line(home, tmp_path):
    study = made_up(home, 6)
    whole = study.journal.read_bytes()
    study.journal.write_bytes(b"{broken\n" + whole)
    with pytest.raises(StudyError, match=r"journal.log can't be read: line 1 is not a journal entry"):
        made(study)
    told = command("--study", study.study_id, "--out", str(tmp_path / "x.html"), rc=2)
    assert told.strip().splitlines()[-1].startswith(f"error: {study.study_id}: journal.log can't be read: line 1")
    assert "Traceback" not in told
    assert not (tmp_path / "x.html").exists()
    study.journal.write_bytes(whole)
    study.config_file.write_text("sampler: luck\n")
    assert "sampler = 'luck' is not allowed" in command("--study", study.study_id, rc=2)
    assert "no study 'nothing'" in command("--study", "nothing", rc=2)


def test_a_run_of_a_trial_that_is_damaged_is_told_and_left_out(home, recorded):
    study = made_up(home, 24)
    run = move(recorded(name="a", seed=1), study.run_of(best_of(study).number).path)
    run.config_file.write_text("{broken")
    text = made(study)
    assert problems(text) == []
    assert f"{run.run_id} is left out" in said(text)
    assert "its run no longer exists or can't be read" in said(text)


def test_the_command_line_keeps_a_study_and_asks_for_one_thing_at_a_time(home, tmp_path):
    study = made_up(home, 12)
    out = tmp_path / "report.html"
    told = command("--study", study.study_id, "--out", str(out), "--keep")
    assert out.stat().st_size == told["bytes"]
    assert (told["kind"], told["study"], told["runs"]) == ("study", study.study_id, [])
    report = kept.find(home, told["kept"])
    assert (report.about.kind, report.about.study, report.about.title) == ("study", study.study_id, "made up: a study")
    assert [r["study"] for r in command("--list")["reports"]] == [study.study_id]
    assert command("--study", "made up", "--keep")["kind"] == "study"
    assert "--study STUDY, or --period" in command("--study", study.study_id, "--period", "day", rc=2)
    assert "is of no study, and one was named" in command("--study", study.study_id, "--kind", "period", rc=2)
    with Store(None) as store, pytest.raises(ConfigError, match="is of a study, and none was named"):
        kinds.build("study", kinds.Request(store, []))


def test_the_pages_offer_the_report_of_a_study(visit, console):
    study = made_up(console.home, 24)
    page = visit("search", study=study.study_id)
    assert "Report" in [link.proto.label for link in page.get("page_link")]
    page = visit("reports", study=study.study_id)
    assert not page.exception
    next(b for b in page.button if b.label == "Make study report").click().run()
    assert not page.exception
    (report,) = kept.all_reports(console.home)
    assert report.about.study == study.study_id
    assert "made up\\: a study" in texts(page)
    assert "Study" in [link.proto.label for link in page.get("page_link")]
    study.journal.write_text("{broken\n")
    os.utime(study.journal, (1e9, 1e9))
    page = visit("reports", study=study.study_id)
    next(b for b in page.button if b.label == "Make study report").click().run()
    assert not page.exception
    assert "line 1 is not a journal entry" in texts(page)
    assert "Make study report" not in [b.label for b in visit("reports", tab="Trends").button]
