"""``baselines``: find the best single setting and a portfolio on logos, and show what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.common import Cluster, Json, clear_errors, result
from core.cli.progress import Progress
from core.paths import runs_home, trace_cache_file
from core.search.fitted import SHIPPED, Fitted, read_fitted, write_fitted

app = typer.Typer(help="Find fixed settings on a set of logos, as baselines for an agent.", no_args_is_help=True)


def _told(fitted: Fitted, path: Path, as_json: bool) -> None:
    def text() -> None:
        print(f"{fitted.n_logos} logos of {fitted.data} ({fitted.split}), {fitted.n_conversions:,} conversions; {path}")
        for n, (setting, gain) in enumerate(zip(fitted.settings, fitted.gains, strict=True), start=1):
            print(f"{n:>3} {gain:>7.3f}  " + ",".join(f"{value:.4g}" for value in setting.as_tuple()))

    data: dict[str, Any] = {"file": str(path)} | fitted.as_dict()
    result(data, as_json, text)


@app.command("fit")
def fit_baselines(
    images: Annotated[str, typer.Option(help="A folder of logos, or 'builtin'.")],
    out: Annotated[Path, typer.Option(help="JSON file to write.", dir_okay=False)],
    split: Annotated[str, typer.Option(help="train, validation, test or all.")] = "train",
    work_size: Annotated[int, typer.Option(help="Longest side in pixels.", min=32, max=1024)] = 256,
    singles: Annotated[int, typer.Option(help="Settings to try for the best single setting.", min=1)] = 60,
    each: Annotated[int, typer.Option(help="Settings to try for each additional place in the portfolio.", min=1)] = 6,
    size: Annotated[int, typer.Option(help="Number of settings in the portfolio.", min=1, max=100)] = 20,
    seed: Annotated[int, typer.Option(help="Seed of the search.", min=0)] = 0,
    ray: Cluster = "",
    as_json: Json = False,
) -> None:
    """Find the best single setting for all logos, and a portfolio from which each logo uses its best setting."""
    from core.evaluation.fitting import Request, fit

    with clear_errors():
        home = runs_home()
        asked = Request(images, split, work_size, singles, each, size, seed, cluster=ray)
        found = fit(asked, trace_cache_file(home), Progress())
        write_fitted(out, found)
        _told(found, out, as_json)


@app.command("show")
def show_baselines(
    file: Annotated[Path, typer.Argument(help="File written by `baselines fit`; default is the built-in one.")] = SHIPPED,
    as_json: Json = False,
) -> None:
    """Show the fitted settings, best first, and the mean gain of the first n of them."""
    with clear_errors():
        _told(read_fitted(file), file, as_json)
