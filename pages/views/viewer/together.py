"""Several logos of several runs over their evaluations, under one slider: every picture is of the step that it stands at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.runs.run_dir import RunDir
from pages.server.service import Console
from pages.views.charts.svg import svg_url
from pages.views.components.mount import together
from storage import queries

MAX_RUNS, MAX_LOGOS, DEFAULT_LOGOS = 4, 8, 4
MAX_STEPS = 24  # of a run, evenly spread, the last among them
MAX_BYTES = 6_000_000  # of all pictures together


def panel(console: Console, runs: Sequence[RunDir], labels: Mapping[str, str]) -> None:
    """``runs``: at most ``MAX_RUNS`` are shown; ``labels``: {run id: what it is called}."""
    shown = list(runs)[:MAX_RUNS]
    histories = {run.run_id: queries.evaluated_logos(console.store, run.run_id) for run in shown}
    known = [set(frame["logo"]) for frame in histories.values()]
    common = sorted(set.intersection(*known)) if known else []
    if not common:
        st.info("These runs have no evaluated logo in common.")
        return
    chosen = st.multiselect(
        "Logos", common, default=common[:DEFAULT_LOGOS], key="together.logos", max_selections=MAX_LOGOS, placeholder="Choose logos"
    )
    if not chosen:
        st.caption("Choose logos to see them side by side.")
        return
    data = frames(shown, histories, chosen)
    together([labels[run.run_id] for run in shown], data["steps"], data["logos"], "together")
    told = ["At each step, what each run's agent made of each logo at its last evaluation until then. Play, or drag the slider."]
    if len(runs) > MAX_RUNS:
        told.append(f"The first {MAX_RUNS} of {len(runs)} runs are shown.")
    if data["n_left_out"]:
        told.append(f"{data['n_left_out']} pictures are left out, since they would take too long to load; choose fewer logos.")
    st.caption(" ".join(told))


def frames(runs: Sequence[RunDir], histories: Mapping[str, pd.DataFrame], logos: Sequence[str]) -> dict[str, Any]:
    """steps: all that a picture is of, in order; logos: name and, per run, its pictures (step, said, url); n_left_out: pictures beyond
    ``MAX_BYTES``."""
    steps: set[int] = set()
    n_bytes = n_left_out = 0
    rows = []
    for logo in logos:
        cells = []
        for run in runs:
            own = histories[run.run_id]
            own = spread(own[own["logo"] == logo].sort_values("step"))
            cell = []
            for row in own.to_dict("records"):
                svg = _read(run, row["svg"])
                n_bytes += len(svg)
                if n_bytes > MAX_BYTES:
                    n_left_out += 1
                    continue
                steps.add(int(row["step"]))
                said = f"step {int(row['step']):,} · gain {row['gain']:+.3f}" + ("" if svg else " · no file was saved")
                cell.append({"step": int(row["step"]), "said": said, "url": svg_url(svg) if svg else ""})
            cells.append(cell)
        rows.append({"name": logo, "cells": cells})
    return {"steps": sorted(steps), "logos": rows, "n_left_out": n_left_out}


def spread(history: pd.DataFrame) -> pd.DataFrame:
    """At most ``MAX_STEPS`` evaluations of a history, evenly spread, the last among them."""
    every = -(-len(history) // MAX_STEPS) if len(history) else 1
    return history.iloc[::-1].iloc[::every].iloc[::-1]


def _read(run: RunDir, relative: object) -> bytes:
    path = run.inside(relative) if isinstance(relative, str) and relative else None
    try:
        return path.read_bytes() if path is not None else b""
    except OSError:
        return b""
