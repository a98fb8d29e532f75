"""A run as one HTML file that needs nothing else: figures, curves, stages, findings, best and worst logos, settings.

Its numbers come from the queries that the pages ask. A logo is in it only as an image, never as markup.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from core.config.config import RunConfig
from core.config.text import to_yaml
from core.runs.event_types import AlertRaised
from core.runs.records import read_config
from core.runs.run_dir import RunDir
from pages.views import tables
from pages.views.charts import curves, plots
from pages.views.charts.svg import png_url, svg_url
from pages.views.event_text import METHOD_LABELS, decision_text
from pages.views.live.run_view import stages_of
from pages.views.text import duration_text, gain_text
from storage import export, queries, run_comparison
from storage.store import Store

N_LOGOS = 4  # best, and as many worst
TEMPLATE = Path(__file__).with_name("report.html")


def render(store: Store, run: RunDir) -> bytes:
    """The report of a run, as UTF-8 HTML.

    Raises:
        ConfigError: its settings can't be read.
    """
    summary = export.run_summary(store, run)
    config = read_config(run)
    found = queries.evaluations(store, [run.run_id])
    figures = run_comparison.figures(store, [run.run_id])
    spans = queries.stage_spans(store, run.run_id)
    here = "it is in this one" if summary["status"] == "RUNNING" else "the run ended in it"
    has_stages = config.curriculum.enabled and not spans.empty
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["gain"] = gain_text
    text = environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        summary=summary,
        made=time.strftime("%Y-%m-%d %H:%M"),
        duration=duration_text(summary["minutes"]) if summary["minutes"] else "–",
        best=figures.to_dict("records")[0] if len(figures) else None,
        first=found.iloc[0].to_dict() if len(found) else None,
        at_best=found.loc[found["gain"].idxmax()].to_dict() if len(found) else None,
        baselines=[(METHOD_LABELS.get(r.method, r.method), r.gain) for r in queries.baselines(store, [run.run_id]).itertuples()],
        categories=_categories(found),
        pictures=_charts(store, run, found),
        stages=[
            row
            | {
                "told": decision_text(row["reason"], row["why"], row["success_share"], row["n_episodes"]) if row["reason"] else here,
                "share": "–" if pd.isna(row["success_share"]) else f"{row['success_share']:.0%}",
            }
            for row in spans.to_dict("records")
        ]
        if has_stages
        else [],
        now_by_stage=(summary["curriculum"] or {}).get("success_by_stage") or {},
        findings=[event.data for event in queries.events_of(store, run.run_id, [AlertRaised])],
        logos=_logos(store, run, summary["best_step"]),
        settings=[(name, _short(usual), _short(value)) for name, usual, value in tables.differences(RunConfig(), config)],
        yaml=to_yaml(config),
    )
    return text.encode()


def _short(value: Any) -> str:
    """A setting in a cell; of a list of stages their names."""
    if isinstance(value, list) and value and hasattr(value[0], "name"):
        return ", ".join(item.name for item in value)
    return "–" if value is None else str(value)


def _categories(found: pd.DataFrame) -> list[tuple[str, float, float]]:
    """(category, first gain, gain at the best evaluation)."""
    if found.empty:
        return []
    first, best = found.iloc[0], found.loc[found["gain"].idxmax()]
    names = [c for c in curves.CATEGORY_COLOURS if f"gain_{c}" in found]
    return [(name, first[f"gain_{name}"], best[f"gain_{name}"]) for name in names]


def _charts(store: Store, run: RunDir, found: pd.DataFrame) -> list[tuple[str, str]]:
    """(title, data: URL) of each curve."""
    run_id, view = run.run_id, curves.View(smoothing=0.6)
    colours, labels = {run_id: curves.PALETTE[0]}, {run_id: tables.display_name(run)}
    stages = stages_of(store, run_id)
    drawn: list[tuple[str, curves.Chart]] = []
    if len(found):
        references = queries.baselines(store, [run_id])
        floor = min(0.0, float(found["gain_low"].min())) - 0.1
        lines = pd.DataFrame(
            [(0.0, "VTracer's defaults"), *zip(references["gain"], [METHOD_LABELS.get(m, m) for m in references["method"]], strict=True)],
            columns=["value", "label"],
        )
        lines = lines[lines["value"] >= floor]
        drawn.append(
            ("Gain on validation logos, with its 95 % interval", curves.evaluation_line(found, colours, view, labels, lines, stages))
        )
    series = queries.episode_series(store, [run_id], "training_gain", "step", curves.POINTS)
    if len(series):
        drawn.append(("Reward of an episode", curves.line(series, colours, view, "reward", labels=labels, stages=stages)))
    success = queries.success_by(store, run_id, "category")
    if len(success):
        drawn.append(("Success by category", plots.success_lines(success, view, stages=stages)))
    return [(title, svg_url(curves.saved(chart, "svg", title))) for title, chart in drawn]


def _logos(store: Store, run: RunDir, step: Any) -> list[dict[str, Any]]:
    """Those whose gain was highest and lowest at the best evaluation, each with its picture and what the agent made of it."""
    if step is None:
        return []
    frame = queries.evaluated_logos(store, run.run_id, int(step)).sort_values("gain", ascending=False, kind="stable")
    frame = frame[frame["failure"].fillna("") == ""]
    picked = frame if len(frame) <= 2 * N_LOGOS else pd.concat([frame.head(N_LOGOS), frame.tail(N_LOGOS)])
    rows = []
    for row in picked.to_dict("records"):
        picture, drawn = run.picture_file(str(row["digest"])), run.inside(str(row["svg"])) if row["svg"] else None
        rows.append(
            {
                **{
                    key: row[key]
                    for key in ("logo", "category", "gain", "ssim", "ssim_default", "colour", "colour_default", "bytes", "bytes_default")
                },
                "picture": png_url(picture.read_bytes()) if picture.is_file() else "",
                "svg": svg_url(drawn.read_bytes()) if drawn is not None and drawn.is_file() else "",
            }
        )
    return rows
