"""What a film shows of runs, from their logs: the reel of chosen logos.

Guarantee: a damaged or missing file of one evaluation ends no film; it is a word in its place.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd

from core.errors import ConfigError, RunError
from core.film.reel import DAMAGED, MAX_TRACKS, NOT_KEPT, Line, Reel, Take, Track, key_steps, spread
from core.runs.records import peek_config, read_label
from core.runs.run_dir import RunDir
from core.tracing.params import NAMES
from storage import queries
from storage.export import open_index

MAX_RUNS = 4  # side by side
N_LOGOS = 6  # where none are named


def reel_of(runs: Sequence[RunDir], logos: Sequence[str], progress: Callable[[str, int, int], None]) -> Reel:
    """The reel of ``logos``, each a name or several separated by commas, a row each where there are several runs; without names six of those that the first run evaluated, from
    the smallest to the largest gain in its last evaluation.

    Raises:
        RunError: no evaluation to show, no such logo, or more than a film may show.
    """
    runs = list({run.run_id: run for run in runs}.values())
    if len(runs) > MAX_RUNS:
        raise RunError(f"{len(runs)} runs are too many for one film; the limit is {MAX_RUNS}")
    found = []
    for n, run in enumerate(runs):
        progress("reading", n, len(runs))
        with open_index(run) as store:
            found.append((queries.evaluated_logos(store, run.run_id), queries.evaluations(store, [run.run_id])))
    progress("reading", len(runs), len(runs))
    for run, (table, _) in zip(runs, found, strict=True):
        if table.empty:
            raise RunError(f"{run.run_id} has no evaluation of individual logos yet, so there is nothing to film")
    chosen = _chosen([table for table, _ in found], runs, logos)
    if len(chosen) * len(runs) > MAX_TRACKS:
        raise RunError(
            f"{len(chosen)} logos of {len(runs)} run{'s' if len(runs) > 1 else ''} are {len(chosen) * len(runs)} pictures side by side; a film shows at most {MAX_TRACKS}"
        )
    tracks = tuple(
        _track(run, place, logo, table) for logo in chosen for place, (run, (table, _)) in enumerate(zip(runs, found, strict=True))
    )
    if not any(take.svg for track in tracks for take in track.takes):
        raise RunError(
            f"no SVG of {', '.join(run.run_id for run in runs)} was kept: evaluation.keep_svgs was off, or they were deleted to free disk space"
        )
    steps = [take.step for track in tracks for take in track.takes]
    keys = key_steps(steps)
    lines = tuple(Line(name, _points(means)) for name, (_, means) in zip(_names(runs), found, strict=True))
    return Reel(lines, tracks, keys, len(set(steps)))


def _chosen(tables: Sequence[pd.DataFrame], runs: Sequence[RunDir], logos: Sequence[str]) -> list[str]:
    """The logos' names, each once, as given."""
    if not logos:
        last = tables[0][tables[0]["step"] == tables[0]["step"].max()]
        return spread(list(last.sort_values(["gain", "logo"], kind="stable")["logo"].drop_duplicates()), N_LOGOS // len(tables) or 1)
    known = {str(name) for table in tables for name in table["logo"]}
    names = [name for given in logos for name in ([given] if given in known else map(str.strip, given.split(","))) if name]
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), 3, 0.4) or sorted(known)[:3]
            raise RunError(
                f"no logo {name!r} was evaluated in {', '.join(run.run_id for run in runs)}; {len(known)} are available, such as {', '.join(near)}"
            )
    return list(dict.fromkeys(names))


def _track(run: RunDir, place: int, logo: str, table: pd.DataFrame) -> Track:
    rows = table[table["logo"] == logo].drop_duplicates("step")
    takes = tuple(_take(run, row) for row in rows.itertuples())
    picture = None
    with suppress(OSError, ValueError):  # a digest that is none
        picture = run.inside(f"pictures/{rows['digest'].iloc[-1]}.png") if takes else None
    return Track(place, logo, takes, picture)


def _take(run: RunDir, row: Any) -> Take:
    failure = "" if row.failure is None or pd.isna(row.failure) else str(row.failure)
    svg = None
    word = f"trace failed: {failure}" if failure else "" if row.svg else NOT_KEPT
    if not word:
        with suppress(OSError, ValueError):  # a name that no file can have
            svg = run.inside(str(row.svg))
        word = "" if svg is not None else DAMAGED
    params = tuple(float(getattr(row, name)) for name in NAMES)
    n_bytes = int(row.bytes) if pd.notna(row.bytes) else 0
    return Take(int(row.step), _real(row.gain), _real(row.ssim), n_bytes, params, svg, word)


def _real(value: Any) -> float:
    return math.nan if pd.isna(value) else float(value)


def _points(means: pd.DataFrame) -> tuple[tuple[int, float], ...]:
    return tuple((int(step), float(gain)) for step, gain in zip(means["step"], means["gain"], strict=True))


def _names(runs: Sequence[RunDir]) -> list[str]:
    """What runs are called; by their ids where they are called alike."""
    names = []
    for run in runs:
        name = read_label(run).get("name", "")
        with suppress(ConfigError):
            name = name or peek_config(run).name
        names.append(name or run.run_id)
    return names if len(set(names)) == len(names) else [run.run_id for run in runs]
