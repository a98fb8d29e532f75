"""A report's findings in plain sentences. Pure: figures in, text out; what is no better is called that."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from core.trends import Trend
from pages.views.reports.blocks import Text, Tone
from pages.views.text import duration_text, gain_text


def percent(share: Any) -> str:
    return "–" if share is None or pd.isna(share) else f"{share:.0%}"


def number(value: Any, form: str = ",.0f") -> str:
    return "–" if value is None or pd.isna(value) else format(value, form)


def interval(low: Any, high: Any) -> str:
    """ "+0.100 to +0.200"; a dash where it is not known."""
    return "–" if pd.isna(low) or pd.isna(high) else f"{gain_text(low)} to {gain_text(high)}"


def plural(n: int, word: str) -> str:
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def training(name: str, summary: dict[str, Any], n_logos: int | None) -> str:
    """What was done."""
    on = f" on {plural(n_logos, 'logo')}" if n_logos else ""
    took = f" for {duration_text(summary['minutes'])}" if summary["minutes"] else ""
    steps = f"{plural(int(summary['step'] or 0), 'step')}, {plural(int(summary['episodes'] or 0), 'episode')}"
    status = str(summary["status"]).lower()
    how = {"completed": "It completed", "running": "It is still running", "paused": "It is paused", "queued": "It is waiting to start"}
    told = how.get(status, f"It is {status}" if status in ("stopped", "interrupted") else f"It {status}")
    return f"{name} was trained{took}{on}: {steps}. {told}" + (f": {summary['reason']}." if summary["reason"] else ".")


def result(best: dict[str, Any] | None) -> list[Text]:
    """What the agent of the best evaluation is worth."""
    if best is None or not math.isfinite(best["gain"]):
        return [Text("It has not been evaluated yet, so there are no results to report.", "bad")]
    size = best["bytes"] / best["bytes_default"] if best.get("bytes_default") else math.nan
    likeness = f"SSIM {best['ssim']:.4f} against {best['ssim_default']:.4f}" if best.get("ssim") == best.get("ssim") else ""
    bytes_told = f"files of {size:.0%} of the size" if math.isfinite(size) else ""
    beside = ", ".join(part for part in (likeness, bytes_told) if part)
    told = (
        f"At its best evaluation (step {int(best['step']):,}) its mean gain over VTracer's defaults is {gain_text(best['gain'])}"
        f" (95% interval {interval(best['gain_low'], best['gain_high'])}) on {plural(int(best['n_logos'] or 0), 'validation logo')}"
        f" that it was not trained on; {percent(best['share_better'])} of them are better than with the defaults"
    )
    return [Text(f"{told} ({beside})." if beside else f"{told}.")]


def worth(verdict: str) -> Text:
    """Whether the training paid off, against the best single setting for all."""
    if not verdict:
        return Text("How it compares with a single fixed setting for all logos is unknown: its log has no paired comparison.", "soft")
    if verdict.startswith("no better"):
        figures = verdict.partition(": ")[2]
        return Text(
            f"It is no better than a single fixed setting for all logos: {figures} in gain, and that interval is not above zero. "
            "So far, that single setting would do as well.",
            "bad",
        )
    return Text(f"It is {verdict} in gain, logo by logo: choosing per logo pays off.", "good")


def direction(trend: Trend | None, per: float, unit: str, what: str) -> str:
    """What a line through values says. ``per``: the length of x that a change is given for, called ``unit``."""
    if trend is None:
        return f"There are too few values for a trend in the {what}."
    figures = f"{trend.slope * per:+.3f} per {unit} (95% interval {trend.low * per:+.3f} to {trend.high * per:+.3f})"
    n_independent = f"{trend.n_effective:.0f}"
    count = "" if n_independent == str(trend.n) else f" that count as {n_independent} independent ones"
    return f"The {what} {trend.word}: {figures}, by a line through {trend.n} values{count}."


def still_rising(trend: Trend | None, is_over: bool) -> Text:
    """Whether more training may help."""
    if trend is None:
        return Text("There are too few evaluations to tell whether it has levelled off.", "soft")
    if trend.low > 0:
        return Text(
            "In the second half of the training its gain was still rising: more steps may help." if is_over else "Its gain is still rising."
        )
    if trend.high < 0:
        return Text("In the second half its gain fell: the best checkpoint is better than the last.", "bad")
    return Text("In the second half its gain shows no clear trend: more training may not help.")


def health(n_by_severity: dict[str, int]) -> Text:
    n = sum(n_by_severity.values())
    if not n:
        return Text("The doctor found no problems.")
    parts = [plural(count, f"{severity} finding") for severity, count in n_by_severity.items() if count]
    tone: Tone = "bad" if n_by_severity.get("severe") else ""
    return Text(f"The doctor had {' and '.join(parts)}; see below for what to do.", tone)
