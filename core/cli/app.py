"""The command line: ``python -m core ...``, the headless twin of app.py, above everything else in core.

Every command prints progress and logs on stderr; with ``--json`` its result is one JSON object, the last line on
stdout. Exit code 0: done; 1: failed; 2: bad usage or bad input, with one clear line.
"""

from __future__ import annotations

import logging
import sys

import typer

from core.cli import data, labels, learn, records, sensitivity
from core.cli.baselines import app as baselines_app
from core.cli.batches import app as batches_app
from core.cli.bench import bench
from core.cli.cluster import cluster
from core.cli.console import console
from core.cli.curricula import app as curricula_app
from core.cli.film import film
from core.cli.logos import app as logos_app
from core.cli.models import app as models_app
from core.cli.report import report
from core.cli.runs import app as runs_app
from core.cli.search import app as search_app

app = typer.Typer(
    name="python -m core",
    help="Train an agent that chooses VTracer's parameters for logos.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    console,
    learn.train,
    learn.evaluate,
    learn.optimize,
    data.export,
    report,
    film,
    data.choices,
    data.rebuild,
    records.audit,
    records.licences,
    bench,
    cluster,
):
    app.command()(command)
for of_runs in (*labels.COMMANDS, *sensitivity.COMMANDS):
    runs_app.command()(of_runs)
app.command("import")(data.import_)
app.add_typer(runs_app, name="runs")
app.add_typer(search_app, name="search")
app.add_typer(logos_app, name="logos")
app.add_typer(models_app, name="models")
app.add_typer(curricula_app, name="curricula")
app.add_typer(batches_app, name="batches")
app.add_typer(baselines_app, name="baselines")


def main() -> None:
    """Entry point; no traceback reaches the user for bad input."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    app()
