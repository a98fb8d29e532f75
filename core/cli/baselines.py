"""``baselines``: find the best single setting and a portfolio on logos, and show what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from core.cli.common import Json, clear_errors, result
from core.cli.progress import Progress
from core.paths import runs_home, trace_cache_file
from core.search.fitted import SHIPPED, Fitted, read_fitted, write_fitted

app = typer.Typer(help="Fixed settings found on logos: what an agent has to beat.", no_args_is_help=True)


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
    out: Annotated[Path, typer.Option(help="The JSON file.")],
    split: Annotated[str, typer.Option(help="train, validation, test or all.")] = "train",
    work_size: Annotated[int, typer.Option(help="Longest side in pixels.", min=32, max=1024)] = 256,
    singles: Annotated[int, typer.Option(help="Settings tried for the best single one.", min=1)] = 60,
    each: Annotated[int, typer.Option(help="Settings tried for each further place of the portfolio.", min=1)] = 6,
    size: Annotated[int, typer.Option(help="Settings of the portfolio.", min=1, max=100)] = 20,
    seed: Annotated[int, typer.Option(help="Of the search.", min=0)] = 0,
    as_json: Json = False,
) -> None:
    """Find the best single setting for all logos, and a portfolio of settings of which each logo takes its best."""
    from core.evaluation.fitting import Request, fit

    with clear_errors():
        home = runs_home()
        found = fit(Request(images, split, work_size, singles, each, size, seed), trace_cache_file(home), Progress())
        write_fitted(out, found)
        _told(found, out, as_json)


@app.command("show")
def show_baselines(
    file: Annotated[Path, typer.Argument(help="What `baselines fit` wrote; what ships without it.")] = SHIPPED, as_json: Json = False
) -> None:
    """The settings that were found, best first, and the mean gain with so many of them."""
    with clear_errors():
        _told(read_fitted(file), file, as_json)
