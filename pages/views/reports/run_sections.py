"""The sections of one run, from its :class:`Facts`. Every section is there, and says so where it has nothing to say."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pandas as pd

from core.config.config import RunConfig
from core.config.installation import SEVERITIES
from core.config.text import to_yaml
from core.notifications.notices import as_sentence, notice_of
from core.runs.event_types import ActionTaken, AlertRaised, Ended, StageEnded, WarningGiven, WorkerLost
from core.tracing.params import NAMES
from core.trends import Trend, fit
from pages.views import tables
from pages.views.charts.curves import CATEGORY_COLOURS
from pages.views.charts.svg import png_url, svg_url
from pages.views.event_text import METHOD_LABELS, decision_text
from pages.views.reports import figures, words
from pages.views.reports.blocks import Block, Card, Cards, Code, Item, Items, LogoCard, Logos, Picture, Section, Table, Text
from pages.views.reports.facts import Facts, Files
from pages.views.text import duration_text, gain_text
from storage import queries

N_LOGOS = 4  # best, and as many worst
MOST_LISTED = 40
MEANING = (
    "Gain compares a conversion with VTracer's defaults on the same picture: 0 is equal, +0.69 is half the visible error at "
    "the same size. All gains here use the same weights, so they can be compared."
)


def is_over(facts: Facts) -> bool:
    return facts.summary["status"] not in ("RUNNING", "PAUSED", "QUEUED")


def gain_trend(facts: Facts) -> Trend | None:
    """Of the validation gain in the second half of the training, per step."""
    found = facts.evaluations
    if found.empty:
        return None
    late = found[found["step"] >= float(found["step"].max()) / 2]
    return fit(late["step"].to_numpy(dtype=float), late["gain"].to_numpy(dtype=float))


def summary(facts: Facts) -> Section:
    """In plain words, then the figures."""
    counted = facts.loaded.n_logos if facts.loaded is not None else None
    blocks: list[Block] = [Text(words.training(facts.name, facts.summary, counted)), *words.result(facts.best)]
    if facts.best is not None:
        blocks += [words.worth(facts.summary["verdict"]), words.still_rising(gain_trend(facts), is_over(facts))]
    blocks += [words.health(severities(facts)), *([Text(f"Note: {facts.note}")] if facts.note else []), cards(facts), Text(MEANING, "soft")]
    return Section("summary", "Summary", blocks)


def cards(facts: Facts) -> Cards:
    told, best, first = facts.summary, facts.best, facts.first
    found = [Card("training", duration_text(told["minutes"]) if told["minutes"] else "–", _steps(told))]
    if best is None or first is None:
        return Cards(tuple(found))
    found = [
        Card("best validation gain", gain_text(best["gain"]), f"95%: {words.interval(best['gain_low'], best['gain_high'])}, at step {int(best['step']):,}"),
        Card("latest gain", gain_text(told["last_gain"]), f"first: {gain_text(first['gain'])}"),
        Card("better than the defaults", words.percent(best["share_better"]), f"of {int(best['n_logos'] or 0)} validation logos"),
    ]  # fmt: skip
    for label, name, form in (
        ("SSIM", "ssim", ".4f"),
        ("colour error", "colour", ".2f"),
        ("edge error", "edge", ".4f"),
        ("bytes", "bytes", ",.0f"),
    ):
        if best[name] == best[name]:
            found.append(Card(label, words.number(best[name], form), f"defaults: {words.number(best[f'{name}_default'], form)}"))
    found.append(Card("training", duration_text(told["minutes"]) if told["minutes"] else "–", _steps(told)))
    return Cards(tuple(found))


def _steps(told: dict[str, Any]) -> str:
    return f"{told['step'] or 0:,} steps, {told['episodes'] or 0:,} episodes"


def charts(facts: Facts) -> Section:
    found: list[Block] = list(figures.of_run(facts))
    return Section("curves", "Curves", found or [Text("There is nothing to plot yet.", "soft")])


def trends(facts: Facts) -> Section:
    """Running averages and lines through what was measured, over the whole run and over its second half."""
    found = facts.evaluations
    rows: list[tuple[str, ...]] = []
    blocks: list[Block] = []
    if len(found) > 1:
        points = pd.DataFrame({"x": found["step"].astype(float), "value": found["gain"], "label": [f"step {s:,}" for s in found["step"]]})
        chart, trend = figures.trend_of(points, "validation gain")
        blocks.append(figures.curve("Validation gain: running average and trend", chart, f"Average of {figures.AVERAGED} evaluations."))
        blocks.append(Text(words.direction(trend, 1000, "1,000 steps", "validation gain")))
        rows += [
            _trend_row("validation gain, whole run", points, "+.3f"),
            _trend_row("validation gain, second half", _late(points), "+.3f"),
        ]
    for column, label, form in (
        ("training_gain", "reward per episode", "+.3f"),
        ("ssim", "SSIM of the episodes", ".4f"),
        ("bytes", "bytes", ",.0f"),
    ):
        series = queries.episode_series(facts.store, [facts.run_id], column, "step", 60).rename(columns={"mean": "value"})
        if len(series) > 1:
            rows += [_trend_row(f"{label}, whole run", series, form), _trend_row(f"{label}, second half", _late(series), form)]
    if rows:
        note = (
            "Least-squares trend. Correlated neighbouring values count as fewer, so that a slow wave is not mistaken for a trend; an interval "
            "that includes 0 means no clear trend."
        )
        head = ("quantity", "first average", "last average", "change per 1,000 steps", "95% interval", "it")
        blocks.append(Table(head, rows, frozenset(range(1, 5)), note))
    return Section("trends", "Trends", blocks or [Text("Too few values for a trend.", "soft")])


def _late(points: pd.DataFrame) -> pd.DataFrame:
    return points[points["x"] >= float(points["x"].max()) / 2]


def _trend_row(label: str, points: pd.DataFrame, form: str) -> tuple[str, ...]:
    x, y = points["x"].to_numpy(dtype=float), points["value"].to_numpy(dtype=float)
    n, trend = max(min(figures.AVERAGED, len(y) // 2), 1), fit(x, y)
    first, last = (words.number(float(part.mean()), form) if len(part) else "–" for part in (y[:n], y[-n:]))
    if trend is None:
        return label, first, last, "–", "–", "too few values"
    change, low, high = (f"{value * 1000:+.4g}" for value in (trend.slope, trend.low, trend.high))
    return label, first, last, change, f"{low} to {high}", trend.word


def baselines(facts: Facts) -> Section:
    """The agent against every way of choosing that was measured on the same logos."""
    if facts.best is None:
        return Section("baselines", "Comparison with baselines", [Text("Nothing has been evaluated yet.", "soft")])
    best = facts.best
    own = ("agent, best evaluation", best["gain"], best["gain_low"], best["gain_high"], True)
    others = [(method_label(b.method, b.budget), b.gain, b.gain_low, b.gain_high, False) for b in facts.baselines]
    zero = (METHOD_LABELS["default"], 0.0, 0.0, 0.0, False)
    rows = [_method_row(own[0], "1", best), (zero[0], "1", "+0.000", "by definition", "–", *_defaults(best))]
    rows += [_method_row(method_label(b.method, b.budget), str(b.budget), vars(b)) for b in facts.baselines]
    blocks: list[Block] = [
        figures.methods(sorted([own, zero, *others], key=lambda row: -row[1] if row[1] == row[1] else 9)),
        Table.of(
            (
                "method",
                "conversions per logo",
                "gain",
                "95% interval",
                "better than the defaults",
                "SSIM",
                "colour error",
                "edge error",
                "bytes",
            ),
            rows,
        ),
        words.worth(facts.summary["verdict"]),
        Text(
            "Bootstrap intervals of the mean over the logos. For two methods on the same logos, the paired difference above is "
            "a better test than whether their intervals overlap.",
            "soft",
        ),
    ]
    if not facts.baselines:
        blocks.insert(1, Text("This run measured no other methods.", "soft"))
    names = [c for c in CATEGORY_COLOURS if f"gain_{c}" in best]
    if names and facts.first is not None:
        table = [(c, *(gain_text(row.get(f"gain_{c}")) for row in (facts.first, best)), *_by_category(facts, c)) for c in names]
        titles = [method_label(b.method, b.budget) for b in facts.baselines]
        blocks.append(Table.of(["category", "first evaluation", "best evaluation", *titles], table))
    return Section("baselines", "Comparison with baselines", blocks)


def _by_category(facts: Facts, category: str) -> list[str]:
    return [gain_text(b.by_category.get(category)) for b in facts.baselines]


def method_label(name: str, budget: int) -> str:
    label = METHOD_LABELS.get(name, name)
    return label if budget == 1 else f"{label}, {budget} conversions"


def _method_row(label: str, budget: str, told: dict[str, Any]) -> tuple[str, ...]:
    own = [words.number(told.get(name), form) for name, form in (("ssim", ".4f"), ("colour", ".2f"), ("edge", ".4f"), ("bytes", ",.0f"))]
    return (
        label,
        budget,
        gain_text(told["gain"]),
        words.interval(told["gain_low"], told["gain_high"]),
        words.percent(told["share_better"]),
        *own,
    )


def _defaults(best: dict[str, Any]) -> list[str]:
    return [
        words.number(best.get(f"{name}_default"), form)
        for name, form in (("ssim", ".4f"), ("colour", ".2f"), ("edge", ".4f"), ("bytes", ",.0f"))
    ]


def stages(facts: Facts) -> Section:
    """What became of each stage."""
    if not facts.config.curriculum.enabled:
        return Section("stages", "Stages", [Text("Trained without a curriculum, on all training logos from the start.", "soft")])
    found = facts.summary["curriculum"]
    if not found["stages"]:
        return Section("stages", "Stages", [Text("It has not started its first stage.", "soft")])
    open_stage = "run ended here" if is_over(facts) else "in progress"
    rows = [
        (
            row["stage"], f"{row['episodes']:,}", duration_text(row["minutes"]), words.percent(row["gate"]), words.percent(row["reached"]),
            words.percent(row["share_now"]), f"{row['change_since_end']:+.0%}" if row["change_since_end"] is not None else "–",
            decision_text(row["reason"], row["why"], row["reached"], row["episodes"]) if row["reason"] else open_stage,
        )
        for row in found["stages"]
    ]  # fmt: skip
    head = ("stage", "episodes", "time", "required", "reached", "logos meeting it now", "since its end", "outcome")
    return Section("stages", "Stages", [Table(head, rows, frozenset(range(1, 7)))])


def decisions(facts: Facts) -> list[Block]:
    """Everything that the curriculum decided, in order."""
    rows = [
        (row["name"], f"{row['step']:,}", decision_text(row["reason"], row["why"], row["success_share"], row["n_episodes"]))
        for row in facts.summary["curriculum"]["decisions"]
    ]
    if not rows:
        return [Text("No decisions yet.", "soft")]
    return [Table(("stage", "at step", "decision"), rows[:200], frozenset({1}))]


def rules(facts: Facts) -> list[Block]:
    """What each stage asks for."""
    head = ("stage", "categories", "difficulty", "SSIM", "gain", "successes", "maximum episodes")
    rows = [
        (
            stage.name, ", ".join(stage.categories), f"{stage.difficulty:g}", f"{stage.target_ssim:g}",
            f"{stage.required_gain:g}" if stage.required_gain is not None else "by difficulty", words.percent(stage.success_threshold),
            f"{stage.max_episodes:,}",
        )
        for stage in facts.config.curriculum.stages
    ]  # fmt: skip
    plan = facts.config.curriculum
    told = f"Success rate over the last {plan.window:,} episodes; at least {plan.min_episodes:,} episodes per stage; at the limit: {plan.on_failure}."
    return [Table(head, rows, frozenset(range(2, 7))), Text(told, "soft")]


def severities(facts: Facts) -> dict[str, int]:
    """{severity: how many rules found something}, the worst first."""
    worst: dict[str, int] = {}
    for alert in facts.of(AlertRaised):
        rank = SEVERITIES.index(alert.severity) if alert.severity in SEVERITIES else 1
        worst[alert.rule] = max(worst.get(alert.rule, 0), rank)
    return {name: sum(rank == i for rank in worst.values()) for i, name in reversed(list(enumerate(SEVERITIES)))}


def health(facts: Facts) -> Section:
    """What the doctor found and did, and what else went wrong."""
    by_rule: dict[str, list[AlertRaised]] = {}
    for alert in facts.of(AlertRaised):
        by_rule.setdefault(alert.rule, []).append(alert)
    items = [_finding(alerts) for alerts in by_rule.values()]
    items += [Item("The doctor acted.", action.text) for action in facts.of(ActionTaken)[:MOST_LISTED]]
    nodes = [one for one in facts.of(WorkerLost) if one.is_node]
    if nodes:
        items.append(Item(words.plural(len(nodes), "cluster node"), f"lost, the last because of: {nodes[-1].reason}."))
    lost = [one for one in facts.of(WorkerLost) if not one.is_node]
    if lost:
        aside = sum(worker.is_quarantined for worker in lost)
        items.append(
            Item(
                words.plural(len(lost), "worker"),
                f"replaced, the last because of: {lost[-1].reason}; {words.plural(aside, 'logo')} quarantined.",
            )
        )
    told = [warning.text for warning in facts.of(WarningGiven)]
    items += [
        Item("Warning.", f"{text} ({n} times)" if (n := told.count(text)) > 1 else text) for text in list(dict.fromkeys(told))[:MOST_LISTED]
    ]
    blocks: list[Block] = [words.health(severities(facts)), *([Items(items)] if items else [])]
    if facts.summary["n_bad"]:
        blocks.append(Text(f"{facts.summary['n_bad']} lines of its log could not be read and are excluded from all figures.", "bad"))
    return Section("health", "Health", blocks)


def _finding(alerts: Sequence[AlertRaised]) -> Item:
    last = alerts[-1]
    when = f"at step {last.step:,}" if len(alerts) == 1 else f"{len(alerts)} times, from step {alerts[0].step:,} to {last.step:,}"
    return Item(
        f"{last.title} ({last.severity}, {when}).",
        f"{as_sentence(last.evidence)} {last.cause} {last.remedy}",
        "bad" if last.severity == "severe" else "",
    )


def logos(facts: Facts, files: Files) -> Section:
    """Best and worst at the best evaluation: the picture, the defaults' SVG and the agent's."""
    frame = facts.logos
    if frame.empty:
        return Section("logos", "Best and worst logos", [Text("No evaluation with its logos is available yet.", "soft")])
    failed = frame[frame["failure"].fillna("") != ""]
    fine = frame[frame["failure"].fillna("") == ""]
    best = fine.head(N_LOGOS)
    worst = fine.iloc[len(best) :].tail(N_LOGOS).iloc[::-1]
    blocks: list[Block] = [
        Logos(title, [logo_card(facts, row, files) for row in part.to_dict("records")])
        for title, part in (("Highest gains", best), ("Lowest gains", worst))
        if len(part)
    ]
    if len(failed):
        names = ", ".join(str(name) for name in failed["logo"].head(10))
        blocks.append(Text(f"{words.plural(len(failed), 'conversion')} failed at that evaluation: {names}.", "bad"))
    blocks.append(
        Text(
            "Before: VTracer's defaults. After: the agent's choice. Both are shown as vectors; figures for the defaults are in brackets.",
            "soft",
        )
    )
    if files.n_left_out:
        blocks.append(
            Text(
                f"{words.plural(files.n_left_out, 'picture')} too large for a report {'was' if files.n_left_out == 1 else 'were'} skipped.",
                "soft",
            )
        )
    return Section("logos", "Best and worst logos", blocks)


def logo_card(facts: Facts, row: dict[Any, Any], files: Files) -> LogoCard:
    digest = str(row["digest"])
    picture = files.take(facts.run.own(facts.run.picture_file(digest)))
    before = files.take(facts.run.own(facts.run.default_svg_file(digest)))
    after = files.take(facts.run.inside(str(row["svg"]))) if row["svg"] else None
    figures_told = [f"SSIM {words.number(row['ssim'], '.4f')} ({words.number(row['ssim_default'], '.4f')})"]
    if row["colour"] == row["colour"]:
        figures_told.append(f"colour {words.number(row['colour'], '.2f')} ({words.number(row['colour_default'], '.2f')})")
    figures_told.append(f"{words.number(row['bytes'])} bytes ({words.number(row['bytes_default'])})")
    settings = ", ".join(f"{name} {row[name]:.4g}" for name in NAMES if row.get(name) == row.get(name) and row.get(name) is not None)
    sides = (
        Picture("picture", png_url(picture) if picture else ""),
        Picture("before", svg_url(before) if before else ""),
        Picture("after", svg_url(after) if after else ""),
    )
    return LogoCard(str(row["logo"]), f"{row['category']} · {' · '.join(figures_told)}", gain_text(row["gain"]), sides, settings)


def milestones(facts: Facts) -> Section:
    """What was reached when."""
    rows = [
        (event.step, event.ts, notice.title, notice.text)
        for event in facts.events
        if isinstance(event.data, StageEnded | Ended) and (notice := notice_of(facts.run_id, event)) is not None
    ]
    rows += _firsts(facts.evaluations)
    table = [
        (title, text, f"{step:,}", time.strftime("%Y-%m-%d %H:%M", time.localtime(ts)))
        for step, ts, title, text in sorted(rows, key=lambda r: r[:2])
    ]
    if not table:
        return Section("milestones", "Milestones", [Text("No milestones yet.", "soft")])
    return Section("milestones", "Milestones", [Table(("what", "how", "step", "when"), table[:MOST_LISTED], frozenset({2, 3}))])


def _firsts(found: pd.DataFrame) -> list[tuple[int, float, str, str]]:
    """The first evaluations that were clearly better than something, and the best of all."""
    rows = []
    for column, title in (("gain_low", "Better than VTracer's defaults"), ("over_single_low", "Better than the best single setting")):
        above = found[found[column] > 0] if column in found else found.iloc[:0]
        if len(above):
            row = above.iloc[0]
            rows.append(
                (int(row["step"]), float(row["ts"]), title, f"for the first time with its entire interval; gain {gain_text(row['gain'])}")
            )
    if len(found):
        row = found.loc[found["gain"].idxmax()]
        rows.append((int(row["step"]), float(row["ts"]), "Best evaluation", f"validation gain {gain_text(row['gain'])}"))
    return rows


def settings(facts: Facts) -> Section:
    """Those that are not the defaults, and all."""
    rows = [(name, short(usual), short(value)) for name, usual, value in tables.differences(RunConfig(), facts.config)]
    blocks: list[Block] = [Table(("setting", "default", "here"), rows)] if rows else [Text("All settings are the defaults.")]
    return Section("settings", "Settings", [*blocks, Code(to_yaml(facts.config), "All settings, as config.yaml", "config.yaml")])


def short(value: Any) -> str:
    """A setting in a cell; of a list of stages their names."""
    if isinstance(value, list) and value and hasattr(value[0], "name"):
        return ", ".join(item.name for item in value)
    text = "–" if value is None else str(value)
    return text if len(text) <= 200 else f"{text[:199]}…"
