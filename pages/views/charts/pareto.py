"""Which points none other is better than."""

from __future__ import annotations

import pandas as pd


def front_of(points: pd.DataFrame) -> pd.DataFrame:
    """The points that none is better than in both: fewer bytes and less error (Pareto)."""
    ordered = points.sort_values(["bytes", "error"], kind="stable")
    best = ordered["error"].cummin()
    return ordered[ordered["error"] <= best][["bytes", "error"]].drop_duplicates()
