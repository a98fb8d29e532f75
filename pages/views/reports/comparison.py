"""Several runs in one report: their figures, who is better on the same logos, where they differ, what each takes to repeat."""

from __future__ import annotations

import json
from typing import Any

from core.config.config import RunConfig
from core.config.fields import flat
from core.config.text import to_yaml
from core.paths import program
from pages.views import tables
from pages.views.charts.svg import png_url, svg_url
from pages.views.reports import across, figures, origin, run_sections, words
from pages.views.reports.blocks import Block, Code, LogoCard, Logos, Picture, Section, Table, Text
from pages.views.reports.facts import Facts, Files
from pages.views.text import duration_text, gain_text
from storage import run_comparison
from storage.store import Store

N_LOGOS = 4


def names_of(facts: list[Facts]) -> dict[str, str]:
    """{run id: name}; runs that are called alike are told apart."""
    return tables.names_of([one.run for one in facts])


def sections(store: Store, facts: list[Facts], left_out: list[str]) -> list[Section]:
    """Of two runs or more, in the order given: the others are held against the first."""
    names = {one.run_id: names_of(facts)[one.run_id] for one in facts}
    evaluated = [one for one in facts if one.best is not None]
    pairs = [_pair(store, evaluated[0], other, names) for other in evaluated[1:]]
    shown: list[Block] = [figures.gain_of(store, {one.run_id: names[one.run_id] for one in evaluated})] if evaluated else []
    shown += figures.rewards(store, names)
    return [
        _summary(facts, names, [pair[0] for pair in pairs], left_out),
        Section("curves", "Curves", shown or [Text("There is nothing to plot yet.", "soft")]),
        _figures(store, facts, names),
        _pairs(names, evaluated, [pair[1] for pair in pairs]),
        _stages(facts, names),
        _logos(store, evaluated, names),
        _settings(facts, names),
        _health(facts, names),
        across.section(store, names),
        _data(facts, names),
        _reproduce(facts, names),
    ]


def _summary(facts: list[Facts], names: dict[str, str], told: list[str], left_out: list[str]) -> Section:
    ranked = sorted((one for one in facts if one.best is not None), key=lambda one: -(one.best or {})["gain"])
    blocks: list[Block] = [Text(f"{len(facts)} runs: {', '.join(names.values())}.")]
    if ranked:
        best = ranked[0]
        none_better = [one for one in ranked if one.summary["verdict"].startswith("no better")]
        blocks += [Text(f"{names[best.run_id]} has the highest gain."), *words.result(best.best)]
        blocks.append(words.worth(best.summary["verdict"]))
        if others := [names[one.run_id] for one in none_better if one is not best]:
            blocks.append(
                Text(
                    f"No better than a single fixed setting for all logos{' either' if best in none_better else ''}: {', '.join(others)}.",
                    "bad",
                )
            )
    else:
        blocks.append(Text("None of them has been evaluated yet.", "bad"))
    blocks += [Text(line) for line in told]
    keys = _differing(facts)
    if keys == ["seed"]:
        blocks.append(Text("They differ only in their seed, so any difference between them is chance."))
    digests = {one.loaded.digest for one in facts if one.loaded is not None}
    if len(digests) > 1:
        blocks.append(Text("They were measured on different logos; only the logo-by-logo comparison uses the same ones.", "bad"))
    old = [names[one.run_id] for one in facts if tables.is_scored_otherwise(one.run)]
    if old and len(old) < len(facts):
        blocks.append(Text(f"{', '.join(old)}: {tables.OLD_SCORE}.", "bad"))
    blocks += [Text(line, "bad") for line in left_out]
    return Section("summary", "Summary", [*blocks, Text(run_sections.MEANING, "soft")])


def _figures(store: Store, facts: list[Facts], names: dict[str, str]) -> Section:
    found = run_comparison.figures(store, [one.run_id for one in facts]).to_dict("records")
    verdicts = {one.run_id: one.summary["verdict"] for one in facts}
    status = {one.run_id: one.summary["status"].lower() for one in facts}
    rows = [
        (
            names[row["run_id"]], status[row["run_id"]], gain_text(row["best_gain"]), words.interval(row["gain_low"], row["gain_high"]),
            f"{row['best_step']:,}", gain_text(row["final_gain"]), words.number(row["ssim"], ".4f"), words.number(row["colour"], ".2f"),
            words.number(row["edge"], ".4f"), words.number(row["bytes"]), duration_text(row["minutes"]), _short(verdicts[row["run_id"]]),
        )
        for row in found
    ]  # fmt: skip
    head = (
        "run",
        "status",
        "best gain",
        "95% interval",
        "at step",
        "final gain",
        "SSIM",
        "colour",
        "edge",
        "bytes",
        "time",
        "against single setting",
    )
    none = [names[one.run_id] for one in facts if one.best is None]
    blocks: list[Block] = [Table(head, rows, frozenset(range(2, 11)))] if rows else []
    if found:
        bars = [(names[row["run_id"]], row["best_gain"], row["gain_low"], row["gain_high"], True) for row in found]
        references = {
            b.method: (run_sections.method_label(b.method, 1), b.gain, b.gain_low, b.gain_high, False)
            for one in facts
            for b in one.baselines
            if b.budget == 1
        }
        blocks.append(figures.methods(sorted([*bars, *references.values()], key=lambda bar: -bar[1] if bar[1] == bar[1] else 9)))
    if none:
        blocks.append(Text(f"Not evaluated yet: {', '.join(none)}.", "soft"))
    return Section("baselines", "Figures and baselines", blocks)


def _short(verdict: str) -> str:
    return verdict.replace("the best single setting", "it") or "–"


def _pair(store: Store, first: Facts, other: Facts, names: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    """(a sentence, a row of the table)."""
    found = run_comparison.compare_pair(run_comparison.by_logo(store, first.run_id, other.run_id))
    if found is None:
        return f"{names[other.run_id]} and {names[first.run_id]} have no evaluated logos in common.", (names[other.run_id], "0", *"–" * 4)
    p_value = "–" if found.p_value is None else "< 0.001" if found.p_value < 0.001 else f"{found.p_value:.3f}"
    told = f"Against {names[first.run_id]}, on the same {found.n_logos} logos: {found.verdict(names[other.run_id])} ({gain_text(found.difference)})."
    figures_told = (
        gain_text(found.difference),
        words.interval(found.low, found.high),
        f"{found.wins} · {found.ties} · {found.losses}",
        p_value,
    )
    return told, (names[other.run_id], str(found.n_logos), *figures_told)


def _pairs(names: dict[str, str], evaluated: list[Facts], rows: list[tuple[str, ...]]) -> Section:
    if not rows:
        return Section("pairs", "Logo by logo", [Text("This needs two evaluated runs.", "soft")])
    head = (f"against {names[evaluated[0].run_id]}", "logos", "mean difference", "95% interval", "wins · ties · losses", "p")
    note = "Each run at its best evaluation; p from a two-sided Wilcoxon signed-rank test, not corrected for multiple comparisons."
    return Section("pairs", "Logo by logo", [Table.of(head, rows, note)])


def _stages(facts: list[Facts], names: dict[str, str]) -> Section:
    rows = [
        (names[one.run_id], row["stage"], f"{row['episodes']:,}", words.percent(row["reached"]), words.percent(row["share_now"]), row["reason"].replace("_", " ") or "open")
        for one in facts
        if one.summary["curriculum"]
        for row in one.summary["curriculum"]["stages"]
    ]  # fmt: skip
    if not rows:
        return Section("stages", "Stages", [Text("None of them was trained with a curriculum or reached a stage.", "soft")])
    return Section(
        "stages",
        "Stages",
        [Table(("run", "stage", "episodes", "reached", "logos meeting it now", "outcome"), rows, frozenset({2, 3, 4}))],
    )


def _logos(store: Store, evaluated: list[Facts], names: dict[str, str]) -> Section:
    """Where the second run is furthest ahead of the first, and where it is furthest behind."""
    title = "Best and worst logos"
    if len(evaluated) < 2:
        return Section("logos", title, [Text("This needs two evaluated runs.", "soft")])
    first, second = evaluated[:2]
    both = run_comparison.by_logo(store, first.run_id, second.run_id)
    if both.empty:
        return Section("logos", title, [Text("The first two have no evaluated logos in common.", "soft")])
    files = Files()
    worst, best = both.head(N_LOGOS), both.iloc[N_LOGOS:].tail(N_LOGOS).iloc[::-1]
    parts = (
        (f"Where {names[second.run_id]} is furthest ahead of {names[first.run_id]}", best),
        ("Where it is furthest behind or least ahead", worst),
    )
    blocks: list[Block] = [
        Logos(heading, [_card(first, second, row, names, files) for row in part.to_dict("records")]) for heading, part in parts if len(part)
    ]
    return Section("logos", title, blocks)


def _card(first: Facts, second: Facts, row: dict[Any, Any], names: dict[str, str], files: Files) -> LogoCard:
    picture = files.take(second.run.own(second.run.picture_file(str(row["digest"]))))
    sides = [Picture("picture", png_url(picture) if picture else "")]
    for one, key in ((first, "a"), (second, "b")):
        drawn = files.take(one.run.inside(str(row[f"svg_{key}"]))) if row[f"svg_{key}"] else None
        sides.append(Picture(f"{names[one.run_id]}: {gain_text(row[f'gain_{key}'])}", svg_url(drawn) if drawn else ""))
    text = f"{row['category']} · {words.number(row['bytes_a'])} and {words.number(row['bytes_b'])} bytes"
    return LogoCard(str(row["logo"]), text, gain_text(row["difference"]), tuple(sides))


def _differing(facts: list[Facts]) -> list[str]:
    """The settings that are not the same in all runs."""
    settings = [flat(one.config) for one in facts]
    keys = [key for key in flat(RunConfig()) if key not in ("name", "note")]
    return [key for key in keys if len({json.dumps(one.get(key), sort_keys=True, default=str) for one in settings}) > 1]


def _settings(facts: list[Facts], names: dict[str, str]) -> Section:
    keys, settings = _differing(facts), [flat(one.config) for one in facts]
    if not keys:
        return Section("settings", "Settings that differ", [Text("Only the name differs.")])
    rows = [(key, *(run_sections.short(one.get(key)) for one in settings)) for key in keys]
    return Section("settings", "Settings that differ", [Table(("setting", *names.values()), rows)])


def _health(facts: list[Facts], names: dict[str, str]) -> Section:
    found = [(names[one.run_id], *(str(n) for n in run_sections.severities(one).values())) for one in facts]
    table = Table(("run", *(f"{name} findings" for name in run_sections.severities(facts[0]))), found, frozenset({1, 2, 3}))
    return Section("health", "Health", [table])


def _data(facts: list[Facts], names: dict[str, str]) -> Section:
    rows = [
        (names[one.run_id], one.loaded.path, f"{one.loaded.n_logos:,}", f"{one.config.logos.work_size} px", one.loaded.digest[:16])
        for one in facts
        if one.loaded is not None
    ]
    if not rows:
        return Section("data", "Data card", [Text("Their logs do not record which logos were read.", "soft")])
    return Section("data", "Data card", [Table(("run", "logos from", "logos", "work size", "digest"), rows, frozenset({2, 3}))])


def _reproduce(facts: list[Facts], names: dict[str, str]) -> Section:
    """Each run's settings, to be saved and trained."""
    blocks: list[Block] = [
        Text(f"Save a run's settings, then run {program()} train --config FILE. The report of a single run has all the details.")
    ]
    rows = [(names[one.run_id], one.run_id, str(one.config.seed), one.started.python if one.started else "–") for one in facts]
    blocks.append(Table(("run", "id", "seed", "Python"), rows))
    blocks += [Code(to_yaml(one.config), f"All settings of {names[one.run_id]}", f"{one.run_id}.yaml") for one in facts]
    return Section("reproduce", "How to reproduce it", [*blocks, *origin.caveats(facts[0])[:1]])
