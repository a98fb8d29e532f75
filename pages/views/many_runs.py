"""Statistics over many runs, as sections of the Compare page: seeds as groups, cost of training, importance of settings.

The tables are those of storage/sensitivity.py, which the command line prints too.
"""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.errors import ConfigError
from core.evaluation.importance import SIGNIFICANT
from core.paths import program
from core.runs.run_dir import RunDir
from core.runs.seed_groups import SeedGroup
from pages.server.service import Console
from pages.views import chart_box, downloads
from pages.views.charts import groups as charts
from pages.views.charts.curves import View
from storage import export, queries, sensitivity

AXES = {"step": "Gain by step", "minutes": "Gain by minute"}
NOTE = "One curve per config: the interquartile mean of its seeds with a 95% interval, up to the step that all of them have reached"
SERIES = f"{program()} runs schedules --config configs/quick.yaml --seeds 1,2,3"


def gain_of(format: str = "%+.3f", label: str | None = None, help: str | None = None) -> st.column_config.NumberColumn:  # type: ignore[valid-type]
    return st.column_config.NumberColumn(label, format=format, help=help)


def download(frame: pd.DataFrame, name: str) -> None:
    downloads.button(f"{name}.csv", export.to_csv(frame), f"{name}.csv", "text/csv", icon=":material/download:", key=f"csv.{name}")


def seeds_section(console: Console, groups: Sequence[SeedGroup], names: dict[str, str]) -> None:
    """Groups with their intervals, and each two against each other."""
    figures = sensitivity.group_figures(console.store, groups)
    if figures["n_seeds"].max() < 2:
        st.info(
            "No two of these runs differ only in their seed. Several seeds per config separate the effect of a setting from chance; "
            "this queues three under each learning-rate schedule:"
        )
        st.code(SERIES, language="sh")
        return
    last = queries.evaluations(console.store, [run for group in groups for run in group.runs]).groupby("run_id").last()
    single = [(group.label, names.get(run, run), float(last.loc[run, "gain"])) for group in groups for run in group.runs]
    runs = pd.DataFrame(single, columns=["group", "run", "gain"])
    chart = charts.group_intervals(figures, runs, charts.group_colours([group.label for group in groups]))
    note = "Diamond: interquartile mean of the seeds; bar: its bootstrapped 95% interval; ring: one seed"
    chart_box.show(chart, "seeds", "Gain by config", figures, note=note, can_pin=False)
    for warning in _warnings(figures):
        st.caption(f":material/warning: {warning}")
    st.dataframe(
        figures.assign(interval=_intervals(figures, "low", "high"), logo_interval=_intervals(figures, "logo_low", "logo_high"))[
            ["group", "n_seeds", "iqm", "interval", "lowest", "highest", "logo_iqm", "logo_interval", "n_logos"]
        ],
        hide_index=True,
        placeholder="–",
        lazy=True,
        column_config={
            "n_seeds": gain_of("%d", "seeds"),
            "iqm": gain_of(
                label="gain", help="Interquartile mean of the seeds' final gains: with four or more seeds, the mean of the middle half."
            ),
            "interval": st.column_config.TextColumn("95% interval", help="Bootstrapped over the seeds."),
            "lowest": gain_of(),
            "highest": gain_of(),
            "logo_iqm": gain_of(label="by logo", help="Over all seeds and logos, as in rliable with logos as tasks."),
            "logo_interval": st.column_config.TextColumn(
                "interval by logo", help="Stratified bootstrap: seeds are resampled separately for each logo, so it is narrower."
            ),
            "n_logos": gain_of("%d", "logos"),
        },
    )
    download(figures, "groups")
    _improvements(console, groups)


def _warnings(figures: pd.DataFrame) -> list[str]:
    """One line for all groups that share a warning."""
    told: dict[str, list[str]] = {}
    for row in figures.to_dict("records"):
        if row["warning"]:
            told.setdefault(row["warning"], []).append(row["group"])
    return [f"{', '.join(labels) if len(labels) < 4 else f'{len(labels)} groups'}: {text}." for text, labels in told.items()]


def _intervals(frame: pd.DataFrame, low: str, high: str) -> list[str | None]:
    return [None if pd.isna(a) else f"{a:+.3f} to {b:+.3f}" for a, b in zip(frame[low], frame[high], strict=True)]


def _improvements(console: Console, groups: Sequence[SeedGroup]) -> None:
    pairs = sensitivity.improvements(console.store, [group for group in groups if len(group.runs) > 1])
    if pairs.empty:
        return
    st.markdown("**Probability of improvement**")
    st.dataframe(
        pairs.assign(
            probability=100 * pairs["probability"],
            interval=[f"{a:.0%} to {b:.0%}" for a, b in zip(pairs["low"], pairs["high"], strict=True)],
        )[["better", "worse", "probability", "interval", "n_logos", "verdict"]],
        hide_index=True,
        column_config={
            "worse": "than",
            "probability": st.column_config.NumberColumn(
                "probability of improvement",
                format="%.0f %%",
                help="Probability that a seed of the first config beats a seed of the second on a logo; ties count half.",
            ),
            "interval": st.column_config.TextColumn("95% interval", help="Bootstrapped over the seeds of both."),
            "n_logos": gain_of("%d", "logos"),
        },
    )


def efficiency_section(console: Console, groups: Sequence[SeedGroup], names: dict[str, str]) -> None:
    """Gain by step and by minute side by side, and what each training cost."""
    colours = charts.group_colours([group.label for group in groups])
    with st.grid(2, min_column_width=380, gap="medium") as cells:
        for axis, title in AXES.items():
            with cells.cell():
                bands = sensitivity.gain_bands(console.store, groups, axis)  # type: ignore[arg-type]
                chart_box.show(charts.band_lines(bands, colours, View(axis=axis)), f"gain-{axis}", title, bands, note=NOTE, can_pin=False)
    label_of = {run: group.label for group in groups for run in group.runs}
    found = sensitivity.efficiency(console.store, list(label_of))
    table = found.table.assign(run=[names.get(run, run) for run in found.table["run_id"]]).sort_values("gain_at_minutes", ascending=False)
    st.dataframe(
        table[
            [
                "run", "conversions_per_s", "conversions", "minutes", "final_gain", "gain_at_steps", "gain_at_minutes", "steps_to_95",
                "minutes_to_95", "cpu_ms",
            ]
        ],
        hide_index=True,
        placeholder="–",
        lazy=True,
        column_config={
            "conversions_per_s": gain_of("%.1f", "conversions/s", "Over the whole training, including evaluations and preparation."),
            "conversions": gain_of("localized"),
            "minutes": gain_of("%.2f"),
            "final_gain": gain_of(label="final gain"),
            "gain_at_steps": gain_of(label=f"gain at {found.at_steps:,.0f} steps", help="The steps that the shortest run had."),
            "gain_at_minutes": gain_of(label=f"gain at {found.at_minutes:.3g} min", help="The training minutes that the shortest run had."),
            "steps_to_95": gain_of("localized", "steps to 95%", "When an evaluation first reached 95% of the way from the first gain to the best."),
            "minutes_to_95": gain_of("%.2f", "minutes to 95%"),
            "cpu_ms": gain_of("%.1f", "CPU ms", "Median CPU time of the tracing thread per conversion."),
        },
    )  # fmt: skip
    download(found.table, "efficiency")


def importance_section(console: Console, runs: Sequence[RunDir]) -> None:
    """Which settings mattered over all runs of this home, not only those that are drawn: the largest set that can be compared."""
    try:
        with st.spinner(f"Analysing {len(runs)} runs"):
            found = sensitivity.sensitivity(console.store, runs)
    except ConfigError as error:
        st.info(f"Not yet: {error}.")
        st.caption("Only runs on the same logos, with the same number of steps and an evaluation near their end, are included.")
        return
    rows = pd.DataFrame([row.as_dict() | {"setting": row.name} for row in found.rows]).drop(columns="with_it")
    note = f"{len(found.runs)} runs of {found.total_timesteps:,} steps on the same logos, by final gain"
    chart_box.show(charts.importance_bars(rows), "importance", "Importance of settings", rows, note=note, can_pin=False)
    if found.warning:
        st.warning(found.warning)
    unclear = rows["p_value"] > SIGNIFICANT
    st.dataframe(
        rows.assign(explained=100 * rows["explained"], ped_anova=100 * rows["ped_anova"], by_chance=["yes" if u else "" for u in unclear])[
            ["setting", "explained", "p_value", "by_chance", "ped_anova", "best", "best_gain", "n_best", "n_values"]
        ],
        hide_index=True,
        placeholder="–",
        lazy=True,
        column_config={
            "explained": gain_of(
                "%.0f %%", "explains", "Share of the variance in gain, beyond the settings above and corrected for chance."
            ),
            "p_value": gain_of("%.3f", "p", "How often shuffled gains explain as much."),
            "by_chance": st.column_config.TextColumn("may be chance"),
            "ped_anova": gain_of("%.0f %%", "PED-ANOVA", "What distinguishes the best runs (Watanabe et al., 2023)."),
            "best": st.column_config.TextColumn(
                "best value", help="The value with the highest mean gain; for many numbers, the best quarter."
            ),
            "best_gain": gain_of(label="mean gain"),
            "n_best": gain_of("%d", "runs with it"),
            "n_values": gain_of("%d", "values"),
        },
    )
    download(rows, "importance")
    if found.left_out:
        with st.expander(f"{len(found.left_out)} runs are excluded"):
            st.dataframe(pd.DataFrame(found.left_out.items(), columns=["run", "why"]), hide_index=True)
