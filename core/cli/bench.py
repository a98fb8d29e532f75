"""``bench``: benchmarks of this machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.cli.common import Json, clear_errors, fail, result
from core.errors import BenchError, ConfigError
from core.paths import BENCHMARKS, PICTURES, PRESETS, SCALE

if TYPE_CHECKING:
    from core.bench.report import Report

ABLATED = PRESETS / "recommended.yaml"
VARIED = "curriculum.enabled=true,false"
DOCUMENTS = {"scale": SCALE}  # others write to docs/benchmarks.md
MINUTES = {"heap": 8.0, "chaos": 10.0, "soak": 120.0}  # that it takes to say something, by default
NAMES = ("throughput", "telemetry", "ingest", "ui", "heap", "optimize", "ablation", "pictures", "scale", "chaos", "fuzz", "soak")

Minutes = Annotated[
    float | None,
    typer.Option(
        help=f"chaos: how long to inject faults, default {MINUTES['chaos']:g}; heap, soak: how long to keep the console open, "
        f"default {MINUTES['heap']:g} and {MINUTES['soak']:g} (minutes).",
        min=0.1,
    ),
]
Samples = Annotated[Path | None, typer.Option(help="soak: a CSV file for each sample, written as it is taken.", dir_okay=False)]
Out = Annotated[Path | None, typer.Option(help="Document whose section is replaced; default is the benchmark's in docs.", dir_okay=False)]


def bench(  # noqa: C901 - one case per benchmark
    what: Annotated[str, typer.Argument(help=f"{', '.join(NAMES[:-1])} or {NAMES[-1]}.")],
    images: Annotated[str, typer.Option(help="Logos to measure on: a folder, or 'builtin'.", envvar="TRACEWRIGHT_LOGOS")] = "builtin",
    repeats: Annotated[int, typer.Option(help="Repeats of each side.", min=1)] = 3,
    model: Annotated[str, typer.Option(help="optimize: the model to use.")] = "default",
    config: Annotated[Path, typer.Option(help="ablation: the config to vary.")] = ABLATED,
    vary: Annotated[str, typer.Option(help="ablation: one setting and its values, for example curriculum.enabled=true,false.")] = VARIED,
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="ablation: change a setting in all runs.")
    ] = None,
    seeds: Annotated[str, typer.Option(help="ablation: seeds, comma-separated.")] = "1,2,3",
    minutes: Minutes = None,
    work_size: Annotated[int, typer.Option(help="pictures: longest side of the logos, in pixels.", min=32, max=2048)] = 256,
    executions: Annotated[int, typer.Option(help="fuzz: damaged files to give to all readers together.", min=1)] = 100_000,
    processes: Annotated[int, typer.Option(help="fuzz: processes to share them among, each with a seed of its own.", min=1, max=64)] = 1,
    keep: Annotated[Path | None, typer.Option(help="soak: a new folder for the runs, which stays; else a temporary one.")] = None,
    samples: Samples = None,
    short: Annotated[bool, typer.Option("--short", help="Run each for a few seconds as a smoke test; writes nothing.")] = False,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Run benchmarks on this machine, mostly as ratios of two alternatives. Keep the machine otherwise idle."""
    from core.bench import ablation, chaos, fuzz, heap, ingest, optimizing, pictures, scaling, soak, telemetry, throughput, ui

    with clear_errors():
        try:
            match _known(what):
                case "throughput":
                    report = throughput.measure(images, repeats, short)
                case "telemetry":
                    report = telemetry.measure(images, short)
                case "ingest":
                    report = ingest.measure(repeats, short)
                case "ui":
                    report = ui.measure(repeats, short)
                case "heap":
                    report = heap.measure(0.1 if short else minutes or MINUTES["heap"])
                case "optimize":
                    report = optimizing.measure(images, model, repeats, short)
                case "pictures":
                    report = pictures.measure(images, work_size=work_size, is_short=short)
                case "scale":
                    report = scaling.measure(images, repeats, short)
                case "chaos":
                    report = chaos.measure(0.5 if short else minutes or MINUTES["chaos"])
                case "fuzz":
                    report = fuzz.measure(500 if short else executions, processes=processes)
                case "soak":
                    report = soak.measure(minutes or MINUTES["soak"], images, keep, samples, short)
                case _:
                    report = ablation.measure(config, vary, settings or [], seeds, images, short)
        except BenchError as error:
            fail(error, 1)
        result(report.as_dict(), as_json, lambda: print(report.as_text()))  # first: hours of work must not be lost to a document
        if not report.is_whole:
            print("it was ended early, so its document stays as it is", file=sys.stderr)
        elif not short or out is not None:
            _write(what, report, out)


def _known(what: str) -> str:
    if what not in NAMES:
        raise ConfigError(f"bench {what!r} is not one of {', '.join(NAMES)}")
    return what


def _write(what: str, report: Report, out: Path | None) -> None:
    """Replace the benchmark's section of its document."""
    from core.bench import pictures
    from core.bench.report import write_section

    if what == "pictures":
        pictures.write_document(report, out or PICTURES, (out or PICTURES).parent / "pictures" / "before_after.png")
    else:
        write_section(report, out or DOCUMENTS.get(what, BENCHMARKS))
