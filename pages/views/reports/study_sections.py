"""The sections of a study's report, from its :class:`StudyFacts`: charts and tables. Every section is there, and says so where it has nothing
to say.

Guarantee: however many trials and settings there are, what is drawn is bounded, so that the file stays below its limit; what is left out is
said.
"""

from __future__ import annotations

import shlex
import time
from importlib import metadata
from typing import Any

import pandas as pd

from core.config.text import to_yaml
from core.errors import StudyError
from core.paths import program
from core.studies import analysis
from core.studies.related import N_BEST
from core.studies.space import encoded, value_in
from core.studies.storage import TrialRow
from core.studies.study import StudyStatus, study_yaml
from pages.views.charts import studies as charts
from pages.views.reports import figures, origin, run_sections, words
from pages.views.reports.blocks import Block, Code, Curve, Section, Table, Text
from pages.views.reports.facts import Files
from pages.views.reports.study_facts import StudyFacts
from pages.views.reports.study_words import best_run, share_worse, value_text
from pages.views.study_view import ON_FRONT, TITLES, StudyView, axis_ends, front_points
from pages.views.text import duration_text
from storage import export

MOST_POINTS, MOST_VALUES, MOST_SLICED = 1500, 4000, 9000  # in a chart; of all evaluations; in all slices together
MOST_LINES, MOST_SETTINGS, MOST_SPANS, MOST_ROWS = 150, 12, 200, 500
N_DIFFERENT = 5  # trials whose settings stand beside each other
MOST_FAILURES = 20


def history(facts: StudyFacts) -> Section:
    """Value by trial, and gain at each evaluation."""
    blocks: list[Block] = []
    for place, name in enumerate(facts.config.objectives):
        view = facts.view(place)
        found = pd.DataFrame(analysis.history(view.most(MOST_POINTS), view.config, place))
        if len(found):
            told = ". ".join(filter(None, ("The line is the best so far", view.note(MOST_POINTS))))
            blocks.append(figures.curve(f"{_capital(TITLES[name])} by trial", charts.history(found, view.title), f"{told}."))
    if (curve := _intermediate(facts)) is not None:
        blocks.append(curve)
    return Section("history", "Progress", blocks or [Text("No trial has a result yet.", "soft")])


def _intermediate(facts: StudyFacts) -> Curve | None:
    """Of as many trials as fit, with every so many of their evaluations."""
    view = facts.view()
    most = max((len(trial.intermediate) for trial in facts.trials), default=0)
    n_lines = min(MOST_LINES, max(MOST_VALUES // max(most, 1), 20))
    rows, domain = analysis.intermediate(view.most(n_lines))
    if not rows:
        return None
    frame = pd.DataFrame(rows)
    every = -(-len(frame) // MOST_VALUES)
    frame = frame[frame.groupby("number").cumcount() % every == 0]
    told = ["Pale: pruned trials, which don't affect the axis"] if (frame["state"] == "pruned").any() else []
    told += [view.note(n_lines)] if view.note(n_lines) else []
    return figures.curve("Gain at each evaluation", charts.intermediate(frame, domain), f"{'; '.join(told)}." if told else "")


def settings(facts: StudyFacts) -> Section:
    """Which settings matter, and in what way."""
    title = "Importance of settings"
    n = len(analysis.complete(facts.trials))
    if n < 2:
        return Section("settings", title, [Text(f"This needs at least two complete trials; there {'is one' if n else 'is none'}.", "soft")])
    blocks: list[Block] = []
    ordered = list(facts.config.space)
    for place, name in enumerate(facts.config.objectives):
        shares, problem = _importances(facts, place)
        if shares:
            ordered = ordered if place else [*shares, *(key for key in ordered if key not in shares)]
            rows = pd.DataFrame([{"setting": key, "share": share, "method": "PED-ANOVA"} for key, share in shares.items()])
            of = f" for the {TITLES[name]}" if len(facts.config.objectives) > 1 else ""
            note = "PED-ANOVA: what distinguishes the best tenth of the trials from the others."
            blocks += [figures.curve(f"Importance{of}", charts.importance(rows), note), Text(_most_important(shares, n))]
        else:
            blocks.append(Text(f"{_capital(problem)}.", "soft"))
            break
    shown = ordered[:MOST_SETTINGS]
    if len(shown) < len(ordered):
        blocks.append(Text(f"The {MOST_SETTINGS} most important of {len(ordered)} settings are plotted below.", "soft"))
    return Section("settings", title, [*blocks, *_drawn(facts, shown)])


def _importances(facts: StudyFacts, place: int) -> tuple[dict[str, float], str]:
    try:
        found = analysis.importances(facts.study, facts.config, "ped-anova", place)
    except StudyError as error:
        return {}, str(error)
    except (ValueError, RuntimeError) as error:  # of Optuna, where the trials differ in nothing that it could weigh
        return {}, f"importance can't be computed from these trials: {error}"
    return {name: share for name, share in found.items() if share == share}, "importance can't be computed from these trials"


def _most_important(shares: dict[str, float], n: int) -> str:
    name, share = next(iter(shares.items()))
    caution = "; with so few trials, this is only a hint" if n < 20 else ""
    return f"{name} matters most, with {share:.0%} of what distinguishes the best trials from the others{caution}."


def _drawn(facts: StudyFacts, names: list[str]) -> list[Block]:
    """All settings together, then one at a time."""
    view = facts.view()
    part = StudyView(
        facts.study, facts.config.model_copy(update={"space": {name: facts.config.space[name] for name in names}}), facts.trials
    )
    lines = pd.DataFrame(analysis.parallel(view.most(MOST_LINES), part.config))
    if lines.empty:
        return []
    ends = pd.DataFrame([row for name, dimension in part.config.space.items() for row in axis_ends(name, dimension)])
    note = ". ".join(filter(None, ("One line per trial; pale: pruned or violating a constraint", view.note(MOST_LINES))))
    chart = charts.parallel(lines, ends, view.title, view.is_larger_better)
    blocks: list[Block] = [figures.curve("All settings together", chart, f"{note}.")]
    n_points = min(MOST_POINTS, MOST_SLICED // len(names))
    rows = pd.DataFrame(analysis.slices(view.most(n_points), part.config))
    colours = [
        told
        for state, told in (("pruned", "Grey: pruned"), ("infeasible", "Amber: violates a constraint"))
        if (rows["state"] == state).any()
    ]
    told = ". ".join([*colours, *filter(None, [view.note(n_points)])])
    for name, dimension in part.config.space.items():
        found = rows[rows["setting"] == name].drop(columns="setting")
        choices = [str(encoded(choice)) for choice in dimension.choices] if dimension.choices is not None else None
        if len(found):
            drawn = charts.slice_of(found, name, view.title, dimension.log, choices)
            blocks.append(figures.curve(f"{_capital(view.title)} by {name}", drawn, f"{told}." if told else ""))
    return blocks


def trade_off(facts: StudyFacts) -> Section:
    """Several objectives against the first, and the trials that none is better than."""
    names, title = facts.config.objectives, "Trade-off"
    if len(names) < 2:
        return Section("front", title, [Text(f"The only objective is the {TITLES[names[0]]}, so there is no trade-off.", "soft")])
    done = analysis.complete(facts.trials)
    if not done:
        return Section("front", title, [Text("No trial is complete yet.", "soft")])
    view, blocks = facts.view(), []
    for other in names[1:]:
        points, line = front_points(view.most(MOST_POINTS), facts.config, other, names[0])
        if len(points) == 0:
            continue
        note = (
            f"{int((points['on_front'] == ON_FRONT).sum())} trials are on the Pareto front: no other trial beats them in every objective."
        )
        blocks.append(
            figures.curve(
                f"{_capital(TITLES[names[0]])} against {TITLES[other]}", charts.front(points, line, (TITLES[other], TITLES[names[0]])), note
            )
        )
    kept = sorted(analysis.front(facts.trials, facts.config), key=lambda trial: -analysis.signs(facts.config)[0] * trial.values[0])
    return Section("front", title, [*blocks, _trials(facts, kept[:40], "The Pareto front, sorted by the first objective.")])


def constraints(facts: StudyFacts) -> Section:
    """What results were allowed to be, and how many kept to it."""
    limit, title = facts.config.max_worse_share, "Constraints"
    measured = [share for trial in facts.trials if trial.is_finished and (share := share_worse(trial)) is not None]
    if limit is None:
        blocks = [Text("None was set: trials count no matter how many of their results look worse than those of the defaults.", "soft")]
    else:
        done = analysis.complete(facts.trials)
        kept, untold = sum(trial.is_feasible for trial in done), sum(not trial.constraints for trial in done)
        told = f"At most {limit:.0%} of a trial's results may look worse than VTracer's defaults': {kept} of {words.plural(len(done), 'complete trial')} satisfy this"
        blocks = [Text(f"{told}; for {untold} of them it was not measured, and they count as satisfying it." if untold else f"{told}.")]
    if measured:
        low, middle, high = min(measured), float(pd.Series(measured).median()), max(measured)
        blocks.append(
            Text(
                f"Over {words.plural(len(measured), 'trial')}, that share ranged from {low:.0%} to {high:.0%}, with a median of {middle:.0%}."
            )
        )
    return Section("constraints", title, list(blocks))


def best_trials(facts: StudyFacts) -> Section:
    """The best, and what tells their settings apart."""
    found = facts.ranked[:N_BEST]
    if not found:
        return Section("best", "The best trials", [Text("No complete trial meets the constraints yet.", "soft")])
    order = "Trials on the Pareto front come first. " if len(facts.config.objectives) > 1 else ""
    note = f"{order}Intervals are for the mean gain over the validation logos; a dash means that the trial's run no longer exists. The run of trial 0 is {facts.study.run_of(0).run_id}, and so on."
    return Section("best", "The best trials", [_trials(facts, found, note), *_different(facts, found[:N_DIFFERENT])])


def _trials(facts: StudyFacts, trials: list[TrialRow], note: str) -> Table:
    names = facts.config.objectives
    also = [name for name in ("minutes", "bytes") if name not in names]
    head = (
        "trial",
        *(TITLES[name] for name in names),
        "95% interval of the gain",
        "looks worse",
        *(TITLES[name] for name in also),
        "at step",
    )
    rows = []
    for trial in trials:
        run = facts.of_trial(trial)
        best = run.best if run is not None else None
        step = trial.attrs.get("step")
        rows.append(
            (
                str(trial.number), *(value_text(name, value) for name, value in zip(names, trial.values, strict=False)),
                words.interval(best["gain_low"], best["gain_high"]) if best else "–", words.percent(share_worse(trial)),
                *(value_text(name, _number(trial.attrs.get(name))) for name in also), f"{step:,}" if isinstance(step, int) else "–",
            )
        )  # fmt: skip
    return Table(head, rows, frozenset(range(1, len(head))), note)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _different(facts: StudyFacts, trials: list[TrialRow]) -> list[Block]:
    """Their settings beside each other and beside the base's; what all have in common in a sentence."""
    base, rows, same = facts.base.model_dump(mode="json"), [], []
    for name, dimension in facts.config.space.items():
        own = analysis.shown(encoded(value_in(base, name)))
        values = [analysis.shown(trial.params.get(name, "–")) for trial in trials]
        if len(set(values)) == 1 and len(trials) > 1:
            same.append(f"{name} {values[0]}{'' if values[0] == own else f' (base: {own})'}")
        else:
            rows.append((name, *values, own, dimension.text()))
    blocks: list[Block] = []
    if rows:
        head = ("setting", *(f"trial {trial.number}" for trial in trials), "base", "searched")
        blocks.append(Table(head, rows, frozenset(range(1, len(trials) + 2))))
    if same:
        blocks.append(Text(f"The same in all {len(trials)}: {', '.join(same)}."))
    return blocks


def against(facts: StudyFacts) -> Section:
    """The best trial's agent against other ways to choose, as in the report of its run."""
    run = best_run(facts)
    if run is None:
        return Section("baselines", "Comparison with baselines", [Text(_no_run(facts), "soft")])
    found = run_sections.baselines(run)
    return Section(found.name, found.title, [Text(f"Of trial {_best_number(facts)}, the best."), *found.blocks])


def logos(facts: StudyFacts) -> Section:
    """The best trial's best and worst."""
    run = best_run(facts)
    if run is None:
        return Section("logos", "Best and worst logos", [Text(_no_run(facts), "soft")])
    found = run_sections.logos(run, Files())
    return Section(found.name, found.title, [Text(f"Of trial {_best_number(facts)}, the best."), *found.blocks])


def _best_number(facts: StudyFacts) -> str:
    return str(facts.best.number) if facts.best is not None else "–"


def _no_run(facts: StudyFacts) -> str:
    return (
        "There is no best trial yet."
        if facts.best is None
        else f"The run of trial {facts.best.number}, the best, no longer exists or can't be read."
    )


def timeline(facts: StudyFacts) -> Section:
    """When each trial was worked on; what pruning saved; why trials failed."""
    last = max((moment for trial in facts.trials for moment in (trial.started, trial.ended) if moment is not None), default=0.0)
    now = time.time() if facts.status[0] is StudyStatus.RUNNING else last  # what a study that ended left open is worked on no more
    spans = pd.DataFrame(analysis.timeline(facts.trials, now))
    if spans.empty:
        return Section("timeline", "Timeline", [Text("No trial has begun yet.", "soft")])
    newest = spans.tail(MOST_SPANS)
    note = f"The newest {MOST_SPANS} of {len(spans):,}." if len(spans) > MOST_SPANS else ""
    blocks: list[Block] = [figures.curve("When each trial ran", charts.timeline(newest), note)]
    means = (
        spans[spans["state"].isin(["complete", "infeasible", "pruned"])]
        .assign(is_pruned=lambda f: f["state"] == "pruned")
        .groupby("is_pruned")["minutes"]
        .mean()
    )
    if len(means):
        told = [f"a complete trial took {duration_text(means[False])} on average"] if False in means else []
        told += [f"a pruned one {duration_text(means[True])}"] if True in means else []
        blocks.append(Text(f"{_capital(', '.join(told))}, including time in the queue."))
    failed = [
        (str(trial.number), str(trial.attrs.get("reason") or "no reason recorded")) for trial in facts.trials if trial.state == "FAIL"
    ]
    if failed:
        rest = len(failed) - MOST_FAILURES
        blocks.append(Table(("failed trial", "why"), failed[-MOST_FAILURES:], note=f"{rest} more failed before." if rest > 0 else ""))
    return Section("timeline", "Timeline", blocks)


def searched(facts: StudyFacts) -> Section:
    """What was searched, and how."""
    base, config = facts.base.model_dump(mode="json"), facts.config
    rows = [(name, dimension.text(), analysis.shown(encoded(value_in(base, name)))) for name, dimension in config.space.items()]
    how = [
        ("objectives", ", ".join(TITLES[name] for name in config.objectives)), ("sampler", config.sampler), ("pruner", config.pruner),
        ("trials", f"{config.n_trials:,}" if config.n_trials else "unlimited"), ("hours", f"{config.hours:g}" if config.hours else "no limit"),
        ("trials at a time", str(config.parallel)), ("steps per trial", f"{facts.n_steps:,}"), ("evaluations per trial", str(config.evaluations)),
    ]  # fmt: skip
    table = export.to_csv(pd.DataFrame(analysis.table(facts.view().most(MOST_ROWS), config))).decode() if facts.trials else ""
    blocks: list[Block] = [
        Table(("setting", "searched", "base"), rows), Text("Search settings:"), Table(("how", "value"), how), Code(study_yaml(config), "The study, as YAML"),
        Code(to_yaml(facts.base), "The base config, as base.yaml", "base.yaml"),
    ]  # fmt: skip
    if table:
        told = f"{_capital(facts.view().note(MOST_ROWS))}, as CSV" if facts.view().note(MOST_ROWS) else "All trials, as CSV"
        blocks.append(Code(table, told, "trials.csv"))
    return Section("searched", "What was searched", blocks)


def data_card(facts: StudyFacts) -> Section:
    run = best_run(facts)
    if run is None:
        return Section("data", "Data card", [Text(f"{_no_run(facts)} It is unknown which logos were read.", "soft")])
    found = origin.data_card(run)
    digests = {one.loaded.digest for one in facts.runs.values() if one.loaded is not None}
    if len(digests) > 1:
        found.blocks.append(Text("The trials' runs used different logos, so their gains can't be compared.", "bad"))
    return found


def reproduce(facts: StudyFacts) -> Section:
    """The commands, the versions, the data and the seeds."""
    study_id, best, run = facts.study.study_id, facts.best, best_run(facts)
    text = f"config: base.yaml\n{study_yaml(facts.config)}"
    lines = [f"{program()} search --config study.yaml", f"{program()} report --study {shlex.quote(study_id)} --out report.html"]
    lines += [f"{program()} search train {shlex.quote(study_id)} --trial {best.number}"] if best is not None else []
    loaded, started = (run.loaded, run.started) if run is not None else (None, None)
    rows = [
        ("seed of the sampler", str(facts.config.seed)), ("seed of each trial", str(facts.base.seed)),
        ("digest of the logos", loaded.digest if loaded and loaded.digest else "–"), ("study", study_id),
        ("Optuna that made this report", metadata.version("optuna")),
    ]  # fmt: skip
    if started is not None:
        rows += [("Python", started.python or "–"), *((str(name), str(value)) for name, value in sorted(started.versions.items()))]
    blocks: list[Block] = [
        Text("Save the study and its base config in one folder, then run:"), Code("\n".join(lines)), Code(text, "The study, as study.yaml", "study.yaml"),
        Table(("what", "value"), rows), *_caveats(facts),
    ]  # fmt: skip
    return Section("reproduce", "How to reproduce it", blocks)


def _caveats(facts: StudyFacts) -> list[Block]:
    """What may keep a repetition from drawing the same values."""
    config = facts.config
    found = ["The same seeds, settings, logos and versions draw the same values and give the same gains, trial by trial."]
    if config.parallel > 1:
        found.append(
            f"{config.parallel} trials ran in parallel; the order in which they end affects the next draws, so a repetition may differ."
        )
    if "minutes" in config.objectives:
        found.append("Training time is an objective and varies between trainings, so draws after the first trials will differ.")
    if config.hours is not None:
        found.append("The budget is time, so another machine may complete more or fewer trials.")
    if facts.base.reward.speed > 0 or "reward.speed" in config.space:
        found.append("The reward includes CPU time, which differs between trainings, so gains will be close but not equal.")
    return [Text(text, "soft") for text in found]


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
