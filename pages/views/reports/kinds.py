"""The kinds of reports: each builds a :class:`Document` of what it is asked for. A new kind is its function and a row of :data:`KINDS`.

The command line, the page *Reports* and the reports that are made by themselves all come here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from core.errors import ConfigError
from core.runs.run_dir import RunDir
from core.studies.study import StudyDir
from pages.views.live.run_view import stages_of
from pages.views.reports import comparison, figures, origin, period, run_sections, study_sections, study_words, words
from pages.views.reports.blocks import Block, Document, Section, Text
from pages.views.reports.facts import Facts, Files, read_facts, readable
from pages.views.reports.study_facts import StudyFacts, read_study
from storage.store import Store

Progress = Callable[[str, int, int], None]
MOST_COMPARED = 40  # runs in one report


@dataclass(frozen=True)
class Request:
    """What a report is to be about. ``since`` and ``until``: of a period, in seconds since 1970; ``period``: day or week; ``study``: with
    ``runs`` those of :func:`pages.views.reports.study_facts.runs_of`, whose logs the store has read."""

    store: Store
    runs: Sequence[RunDir]
    since: float = 0.0
    until: float = field(default_factory=time.time)
    period: str = ""
    study: StudyDir | None = None
    progress: Progress = lambda what, n_done, n_all: None


@dataclass(frozen=True)
class Kind:
    """``least`` and ``most``: how many runs it takes; ``of``: what is chosen for it."""

    label: str
    build: Callable[[Request], Document]
    least: int = 1
    most: int = 1
    of: Literal["runs", "time", "study"] = "runs"


def default_kind(n_runs: int) -> str:
    return "run" if n_runs == 1 else "comparison"


def build(kind: str, request: Request) -> Document:
    """Make a report of a kind.

    Raises:
        ConfigError: no such kind, too few or too many runs for it, or none whose settings can be read.
        StudyError: the journal of a study can't be read.
    """
    if kind not in KINDS:
        raise ConfigError(f"{kind!r} is not a kind of report; choose one of {', '.join(KINDS)}")
    asked, n = KINDS[kind], len(request.runs)
    if (asked.of == "study") != (request.study is not None):
        raise ConfigError(
            f"a report of the kind {kind!r} is {'of a study, and none was' if asked.of == 'study' else 'of no study, and one was'} named"
        )
    if not asked.least <= n <= asked.most:
        wanted = str(asked.least) if asked.least == asked.most else f"{asked.least} to {asked.most}"
        raise ConfigError(f"a report of the kind {kind!r} takes {wanted} run{'' if wanted == '1' else 's'}, not {n}")
    return asked.build(request)


def _subtitle(facts: Facts) -> str:
    reason = f": {facts.summary['reason']}" if facts.summary["reason"] else ""
    return f"{facts.run_id} · {facts.summary['status'].lower()}{reason}"


def _first_text(section: Section) -> str:
    return " ".join(block.text for block in section.blocks[:3] if isinstance(block, Text))


def _of_run(request: Request) -> Document:
    facts = read_facts(request.store, request.runs[0])
    parts: list[Callable[[Facts], Section]] = [
        run_sections.summary, run_sections.charts, run_sections.trends, run_sections.baselines, run_sections.stages, run_sections.health,
        lambda facts: run_sections.logos(facts, Files()), run_sections.milestones, origin.data_card, run_sections.settings, origin.reproduce,
    ]  # fmt: skip
    return _document("run", facts.name, facts, _made(parts, facts, request))


def _of_curriculum(request: Request) -> Document:
    """A run by its stages."""
    facts = read_facts(request.store, request.runs[0])
    if not facts.config.curriculum.enabled:
        raise ConfigError(f"{facts.run_id} was trained without a curriculum; make a report of the kind 'run'")
    parts: list[Callable[[Facts], Section]] = [
        _curriculum_summary, run_sections.stages, _curriculum_charts, _decisions, _rules, run_sections.baselines, run_sections.health,
        lambda facts: run_sections.logos(facts, Files()), origin.data_card, run_sections.settings, origin.reproduce,
    ]  # fmt: skip
    return _document("curriculum", f"{facts.name}: its curriculum", facts, _made(parts, facts, request))


def _made(parts: Sequence[Callable[[Facts], Section]], facts: Facts, request: Request) -> list[Section]:
    found = []
    for n, part in enumerate(parts):
        request.progress(f"report of {facts.run_id}", n, len(parts))
        found.append(part(facts))
    request.progress(f"report of {facts.run_id}", len(parts), len(parts))
    return found


def _document(kind: str, title: str, facts: Facts, sections: list[Section]) -> Document:
    told = {key: facts.summary[key] for key in ("best_gain", "episodes", "verdict", "status")}
    return Document(kind, title, _subtitle(facts), _first_text(sections[0]), (facts.run_id,), sections, told)


def _curriculum_summary(facts: Facts) -> Section:
    found = facts.summary["curriculum"]
    stages = found["stages"]
    n_passed = sum(row["reason"] in ("passed", "skipped") for row in stages)
    blocks: list[Block] = [Text(words.training(facts.name, facts.summary, facts.loaded.n_logos if facts.loaded else None))]
    blocks.append(
        Text(
            f"{n_passed} of its {words.plural(len(facts.config.curriculum.stages), 'stage')} were passed, or skipped because their targets were already met."
        )
    )
    open_stages = [row["stage"] for row in stages if not row["reason"]]
    if open_stages:
        blocks.append(Text(f"The run {'ended' if run_sections.is_over(facts) else 'is'} in the stage {open_stages[-1]}."))
    lost = {name: change for name, change in (found["change_since_stage_end"] or {}).items() if change < -0.02}
    if lost:
        named = ", ".join(f"{name} ({change:+.0%} of the logos)" for name, change in sorted(lost.items(), key=lambda row: row[1]))
        blocks.append(Text(f"Forgotten since their end: {named}.", "bad"))
    elif found["success_by_stage"]:
        blocks.append(Text("Nothing from earlier stages was forgotten.", "good"))
    blocks += [*words.result(facts.best), words.worth(facts.summary["verdict"])]
    return Section("summary", "Summary", [*blocks, run_sections.cards(facts)])


def _curriculum_charts(facts: Facts) -> Section:
    found: list[Block] = list(figures.of_curriculum(facts))
    if not facts.evaluations.empty:
        found.append(
            figures.gain_of(facts.store, {facts.run_id: facts.name}, figures.references(facts), stages_of(facts.store, facts.run_id))
        )
    return Section("curves", "Curves", found or [Text("There is nothing to plot yet.", "soft")])


def _decisions(facts: Facts) -> Section:
    return Section("decisions", "Decisions", run_sections.decisions(facts))


def _rules(facts: Facts) -> Section:
    return Section("rules", "Rules", run_sections.rules(facts))


def _of_comparison(request: Request) -> Document:
    facts, left_out = readable(request.store, request.runs)
    if not facts:
        raise ConfigError("; ".join(left_out))
    request.progress("report", 0, 1)
    sections = comparison.sections(request.store, facts, left_out)
    request.progress("report", 1, 1)
    names = comparison.names_of(facts)
    shown = [names[one.run_id] for one in facts]
    title = f"{' against '.join(shown)}" if len(shown) == 2 else f"{len(shown)} runs compared"
    gains = [one.summary["best_gain"] for one in facts if one.summary["best_gain"] is not None]
    told = {"best_gain": max(gains, default=None), "episodes": sum(one.summary["episodes"] or 0 for one in facts)}
    ids = tuple(one.run_id for one in facts)
    return Document("comparison", title, ", ".join(ids), _first_text(sections[0]), ids, sections, told)


def _of_period(request: Request) -> Document:
    since = request.since or request.until - period.PERIOD_S.get(request.period, period.PERIOD_S["day"])
    request.progress("report", 0, 1)
    sections = period.sections(request.store, request.runs, since, request.until)
    request.progress("report", 1, 1)
    label = {"day": "Daily summary", "week": "Weekly summary"}.get(request.period, "Summary")
    title = f"{label}, {time.strftime('%Y-%m-%d', time.localtime(request.until))}"
    ids = tuple(run.run_id for run in request.runs)
    return Document("period", title, f"{period.when(since)} to {period.when(request.until)}", _first_text(sections[0]), ids, sections)


def _of_study(request: Request) -> Document:
    if request.study is None:
        raise ConfigError("no study was given")
    parts: list[Callable[[StudyFacts], Section]] = [
        study_words.summary, study_sections.best_trials, study_sections.history, study_sections.settings, study_sections.trade_off,
        study_sections.constraints, study_sections.against, study_sections.logos, study_sections.timeline, study_sections.searched,
        study_sections.data_card, study_sections.reproduce,
    ]  # fmt: skip
    facts, sections = read_study(request.store, request.study), []
    for n, part in enumerate(parts):
        request.progress(f"report of {request.study.study_id}", n, len(parts))
        sections.append(part(facts))
    request.progress(f"report of {request.study.study_id}", len(parts), len(parts))
    best, status = facts.best, facts.status[0].value
    told = {"best_gain": best.attrs.get("gain") if best else None, "best_trial": best.number if best else None, "status": status}
    run = facts.related.trials.get(best.number) if best else None
    subtitle, ids = f"{request.study.study_id} · {status.lower()}", (run.run_id,) if run is not None else ()
    return Document("study", f"{facts.name}: a study", subtitle, _first_text(sections[0]), ids, sections, told, request.study.study_id)


KINDS: dict[str, Kind] = {
    "run": Kind("one run", _of_run),
    "comparison": Kind("several runs compared", _of_comparison, 2, MOST_COMPARED),
    "curriculum": Kind("a run's curriculum, stage by stage", _of_curriculum),
    "period": Kind("a day or week of all runs", _of_period, 0, 100_000, "time"),
    "study": Kind("a hyperparameter study", _of_study, 0, 100_000, "study"),
}
