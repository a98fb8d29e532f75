"""A study's findings in plain sentences: how many trials, the best, whether it beats the config that they change, and what is not known."""

from __future__ import annotations

from core.paths import program
from core.studies import analysis
from core.studies.space import Dimension
from core.studies.storage import TrialRow
from core.studies.study import StudyStatus
from pages.views.reports import words
from pages.views.reports.blocks import Card, Cards, Item, Items, Section, Text, Tone
from pages.views.reports.facts import Facts
from pages.views.reports.run_sections import MEANING
from pages.views.reports.study_facts import StudyFacts
from pages.views.study_view import TITLES
from pages.views.text import bytes_text, duration_text, gain_text
from storage.run_comparison import PairedComparison

MOST_NAMED = 12
NEAR_END = 0.03  # of a range: a best value there may have a better one beyond
STATES = {
    "complete": "complete", "infeasible": "complete, but violating a constraint", "pruned": "pruned", "failed": "failed", "running": "running",
    "waiting": "waiting",
}  # fmt: skip


def value_text(objective: str, value: float | None) -> str:
    """A value of an objective with its unit."""
    if value is None:
        return "–"
    return {"gain": gain_text, "minutes": duration_text, "bytes": bytes_text}[objective](value)


def summary(facts: StudyFacts) -> Section:
    """In plain words, then the figures, then what they don't tell."""
    blocks = [Text(work(facts)), *result(facts), *against_base(facts), *in_full(facts), *front(facts)]
    blocks += [Text(line, "bad") for line in facts.left_out]
    if facts.config.note:
        blocks.append(Text(f"Note: {facts.config.note}"))
    return Section("summary", "Summary", [*blocks, cards(facts), *unknown(facts), Text(MEANING, "soft")])


def work(facts: StudyFacts) -> str:
    """What was done, and how it ended."""
    n, counted = len(facts.trials), _counted([analysis.kind_of(trial) for trial in facts.trials])
    spent = facts.study.spent_s() / 60
    over = f" over {words.plural(len(facts.config.space), 'setting')}" + (f" in {duration_text(spent)}" if spent else "")
    status, reason = facts.status
    how = {
        StudyStatus.NEW: "It has not been started yet",
        StudyStatus.RUNNING: "It is still running",
        StudyStatus.COMPLETED: "It completed",
        StudyStatus.STOPPED: "It was stopped",
        StudyStatus.FAILED: "It failed",
        StudyStatus.INTERRUPTED: "It was interrupted",
    }[status]
    made = f"The study {facts.name} ran {words.plural(n, 'trial')}{over}"
    return f"{made}{f': {counted}' if counted else ''}. {how}{f': {reason}' if reason and status is not StudyStatus.NEW else ''}."


def _counted(kinds: list[str]) -> str:
    """ "28 complete (6 of them against a constraint), 8 pruned"."""
    n_against = kinds.count("infeasible")
    numbers = {kind: kinds.count(kind) + (n_against if kind == "complete" else 0) for kind in STATES if kind != "infeasible"}
    told = [
        f"{n:,} {STATES[kind]}" + (f" ({n_against:,} of them violating a constraint)" if kind == "complete" and n_against else "")
        for kind, n in numbers.items()
        if n
    ]
    return ", ".join(told)


def result(facts: StudyFacts) -> list[Text]:
    """The best trial."""
    best, n = facts.best, len(analysis.complete(facts.trials))
    if best is None:
        why = f"None of the {words.plural(n, 'complete trial')} meets the constraints" if n else "No trial is complete yet"
        return [Text(f"{why}, so the best settings are not known.", "bad")]
    objective, run = facts.config.objectives[0], facts.of_trial(best)
    by = f"By {TITLES[objective]}, the first of its objectives, the best" if len(facts.config.objectives) > 1 else "The best"
    told = f"{by} is trial {best.number}: {TITLES[objective]} {value_text(objective, best.values[0])}"
    worse = share_worse(best)
    beside = f"; {words.percent(worse)} of its results look worse than those of VTracer's defaults." if worse is not None else "."
    blocks = [Text(told + beside)]
    if run is not None:
        blocks += [*words.result(run.best), words.worth(run.summary["verdict"])]
    if n > 1 and objective == "gain":
        blocks.append(
            Text(
                f"It was chosen as the best of {n} on the same logos that its gain is measured on, so the gain is probably slightly too high; "
                "train with another seed to check.",
                "soft",
            )
        )
    return blocks


def share_worse(trial: TrialRow) -> float | None:
    found = trial.attrs.get("share_worse")
    return float(found) if isinstance(found, int | float) else None


def against_base(facts: StudyFacts) -> list[Text]:
    """Whether the best trial is better than the config that trials change, as far as that was tried."""
    best, own = facts.best, facts.related.base_trial
    if best is None:
        return []
    if own is not None and own.number == best.number:
        return [Text("These are the base config's own values: the search found nothing better than its starting point.", "bad")]
    if own is not None:
        return [_against_trial(facts, best, own)]
    mine = facts.of_trial(best)
    alike = [run for run in facts.of_base if run.config.total_timesteps == facts.n_steps]
    if mine is not None and alike:
        told = _paired(f"trial {best.number}", f"a run of the base config ({alike[0].run_id})", facts.compare(alike[0], mine))
        if told is not None:
            return [told]
    return []


def _against_trial(facts: StudyFacts, best: TrialRow, own: TrialRow) -> Text:
    name = f"the base config's own values (trial {own.number})"
    if own.state != "COMPLETE":
        return Text(f"{_capital(name)} can't serve as a reference: that trial is {STATES[analysis.kind_of(own)]}.", "soft")
    mine, theirs = facts.of_trial(best), facts.of_trial(own)
    if mine is not None and theirs is not None:
        told = _paired(f"trial {best.number}", name, facts.compare(theirs, mine))
        if told is not None:
            return told
    objective = facts.config.objectives[0]
    return Text(
        f"{_capital(name)} reached {value_text(objective, own.values[0])} against {value_text(objective, best.values[0])} of trial {best.number}. "
        "Whether that is more than chance is unknown, because the evaluations of their runs are not available."
    )


def _paired(name: str, other: str, found: PairedComparison | None) -> Text | None:
    if found is None:
        return None
    tone: Tone = "good" if found.low > 0 else "bad"
    verdict = found.verdict(name)
    figures = f"{gain_text(found.difference)}, 95% interval {words.interval(found.low, found.high)}"
    return Text(f"Against {other}, on the same {words.plural(found.n_logos, 'logo')}: {verdict[0].lower()}{verdict[1:]} ({figures}).", tone)


def in_full(facts: StudyFacts) -> list[Text]:
    """Trainings with the full budget, of the best trial's settings and of the base."""
    mine, theirs = facts.in_full, facts.of_base
    if not mine:
        return []
    run, told = mine[0], [Text(f"Its settings were trained in full, as {mine[0].run_id} ({facts.base.total_timesteps:,} steps).")]
    told += words.result(run.best)
    paired = (
        _paired("that training", f"a full training of the base config ({theirs[0].run_id})", facts.compare(theirs[0], run))
        if theirs
        else None
    )
    return [*told, paired or Text("There is no full training of the base config to compare it with.", "soft")]


def front(facts: StudyFacts) -> list[Text]:
    """Of several objectives: what none is better than."""
    if len(facts.config.objectives) < 2 or facts.best is None:
        return []
    found = analysis.front(facts.trials, facts.config)
    named = ", ".join(str(trial.number) for trial in found[:MOST_NAMED]) + (" and more" if len(found) > MOST_NAMED else "")
    told = f"{words.plural(len(found), 'trial')} {'is' if len(found) == 1 else 'are'} on the Pareto front, where no trial can improve in one objective "
    blocks = [Text(f"{told}without getting worse in another: {named}.")]
    for place, name in enumerate(facts.config.objectives[1:], 1):
        least = min(found, key=lambda trial: trial.values[place])  # both others are to be small
        first = facts.config.objectives[0]
        gain = f", with {TITLES[first]} {value_text(first, least.values[0])}"
        blocks.append(
            Text(f"The smallest figure for {TITLES[name]} on it is {value_text(name, least.values[place])}, of trial {least.number}{gain}.")
        )
    return blocks


def cards(facts: StudyFacts) -> Cards:
    """How it stands, in figures."""
    counts, best, config = analysis.counts(facts.trials), facts.best, facts.config
    n_done, objective = sum(trial.is_finished for trial in facts.trials), config.objectives[0]
    run = facts.of_trial(best)
    known = run.best if run is not None and objective == "gain" else None
    note = f"95%: {words.interval(known['gain_low'], known['gain_high'])}" if known else "interval unknown" if best else ""
    found = [
        Card(f"best {TITLES[objective]}", value_text(objective, best.values[0] if best else None), note if objective == "gain" else ""),
        Card("trials", str(n_done), f"of {config.n_trials:,}" if config.n_trials else f"within {config.hours:g} hours"),
        Card("pruned", str(counts.get("PRUNED", 0)), f"ended early; {counts.get('FAIL', 0)} failed"),
        Card("steps per trial", f"{facts.n_steps:,}", f"the base has {facts.base.total_timesteps:,}"),
    ]
    if len(config.objectives) > 1:
        found.append(Card("on the Pareto front", str(len(analysis.front(facts.trials, config)))))
    return Cards(tuple(found))


def unknown(facts: StudyFacts) -> list[Text | Items]:
    """What the figures above don't tell."""
    best, items = facts.best, []
    if best is not None:
        items = [*_unknown_of_best(facts, best), *_ends(facts, best)]
    failed = sum(trial.state == "FAIL" for trial in facts.trials)
    if failed:
        items.append(Item("Failed trials.", f"The value of their settings is unknown ({failed} of {len(facts.trials)}).", "bad"))
    if any(not trial.is_finished for trial in facts.trials):
        items.append(Item("Open trials.", "Some are still running, so the best may change."))
    return [Text("Limitations of these figures:"), Items(items)] if items else []


def _unknown_of_best(facts: StudyFacts, best: TrialRow) -> list[Item]:
    found: list[Item] = []
    if facts.of_trial(best) is None:
        found.append(
            Item("Interval.", f"The uncertainty of trial {best.number} is unknown: its run no longer exists or can't be read.", "bad")
        )
    is_compared = bool(against_base(facts)) or bool(facts.in_full and facts.of_base)
    if not is_compared and facts.of_base:
        run = facts.of_base[0]
        gain = f"{run.run_id} is a run of it, with {run.config.total_timesteps:,} steps and gain {gain_text((run.best or {})['gain'])}"
        told = f"{gain}; no trial used its values and the best trial was not trained as long, so it is unknown which is better."
        found.append(Item("Base config.", told, "bad"))
    elif not is_compared:
        told = "No trial used its values and it has no run here, so it is unknown whether the search found anything better. "
        found.append(Item("Base config.", f"{told}Train it (base.yaml below), then make this report again.", "bad"))
    if not facts.in_full and facts.n_steps < facts.base.total_timesteps:
        told = f"How its settings perform with {facts.base.total_timesteps:,} steps is not known yet"
        found.append(Item("Full training.", f"{told}: {program()} search train {facts.study.study_id}"))
    found.append(
        Item(
            "Chance.",
            f"Each trial was trained once, with seed {facts.base.seed}; the effect of other seeds was not measured.",
        )
    )
    return found


def _ends(facts: StudyFacts, best: TrialRow) -> list[Item]:
    """Where a best value lies at the end of what was tried."""
    names = [
        f"{name} = {analysis.shown(best.params[name])}"
        for name, dimension in facts.config.space.items()
        if name in best.params and _is_at_an_end(best.params[name], dimension)
    ]
    return [Item("Range limits.", f"{', '.join(names)}: values beyond the range were not tried and may be better.")] if names else []


def _is_at_an_end(value: object, dimension: Dimension) -> bool:
    return dimension.choices is None and not NEAR_END < analysis.unit_of(value, dimension) < 1 - NEAR_END


def _capital(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}"


def best_run(facts: StudyFacts) -> Facts | None:
    """What the best trial's run came to."""
    return facts.of_trial(facts.best)
