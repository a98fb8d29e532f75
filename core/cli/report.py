"""``report``: runs or a study as one self-contained HTML page, optionally saved in the console's list."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from core.cli.common import Json, clear_errors, result
from core.cli.progress import Progress
from core.errors import ConfigError, RunError
from core.files import write_aside
from core.paths import program, runs_home
from core.reports import kept, pdf
from core.runs.run_dir import RunDir, all_runs, find_run
from core.studies.study import StudyDir, find_study

MOST_OTHERS = 50  # runs that a summary reads beside those of its period, for the trends


@dataclass(frozen=True)
class _Wish:
    """What is to be made, and where it goes."""

    kind: str
    period: str
    out: Path | None
    is_kept: bool
    is_printed: bool
    trigger: kept.Trigger
    event_ts: float
    study: StudyDir | None = None


def report(
    runs: Annotated[list[str] | None, typer.Argument(metavar="RUN...", help="IDs or directories of runs; several are compared.")] = None,
    out: Annotated[Path | None, typer.Option(help="Output file; default is RUN-report.html or STUDY-report.html.", dir_okay=False)] = None,
    kind: Annotated[str, typer.Option(help="run, comparison or curriculum; default depends on the number of runs.")] = "",
    period: Annotated[str, typer.Option(help="day or week: a summary of all runs instead.")] = "",
    study: Annotated[str, typer.Option(metavar="STUDY", help="Report on a study instead: its ID, name or directory.")] = "",
    printed: Annotated[bool, typer.Option("--pdf", help="Also write a PDF next to the HTML; needs Chromium.")] = False,
    is_kept: Annotated[bool, typer.Option("--keep", help="Save it in the console's list of reports.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="List saved reports.")] = False,
    delete: Annotated[str, typer.Option(metavar="NAME", help="Delete a saved report; it can be restored within a week.")] = "",
    restore: Annotated[str, typer.Option(metavar="NAME", help="Restore a deleted report.")] = "",
    trigger: Annotated[str, typer.Option(hidden=True, help="What triggered the report.")] = "hand",
    event_ts: Annotated[float, typer.Option(hidden=True, help="When it was triggered, in seconds since 1970.")] = 0.0,
    as_json: Json = False,
) -> None:
    """Write a self-contained HTML report on runs or a study: findings in plain words, curves, logos, and how to reproduce it."""
    with clear_errors():
        if listed or delete or restore:
            _look_after(delete, restore, as_json)
            return
        if trigger not in get_args(kept.Trigger):
            raise ConfigError(f"--trigger {trigger!r} is not one of {', '.join(get_args(kept.Trigger))}")
        if period not in ("", "day", "week"):
            raise ConfigError(f"--period {period!r} is not one of day, week")
        if sum(map(bool, (runs, period, study))) != 1:
            raise ConfigError("give the runs to report on, --study STUDY, or --period day or week for all runs; --list shows saved reports")
        about = find_study(study, runs_home()) if study else None
        if printed and pdf.find_browser() is None:
            print(f"note: only the HTML was made; {pdf.missing()}", file=sys.stderr)
        wish = _Wish(kind, period, out, is_kept, printed, trigger, event_ts, about)  # type: ignore[arg-type]
        found = _runs_of_period(wish) if period else _runs_of_study(about) if about is not None else _named(runs or [])
        data = _make(wish, found)
        result(data, as_json, lambda: print("\n".join(f"{data['bytes']:>8} bytes  {data[key]}" for key in ("file", "pdf") if data[key])))


def _named(names: Sequence[str]) -> list[RunDir]:
    found = {str(run.path): run for run in (find_run(name, runs_home()) for name in names)}
    ids = [run.run_id for run in found.values()]
    if alike := sorted({run_id for run_id in ids if ids.count(run_id) > 1}):
        raise RunError(f"two runs are called {alike[0]}, in different folders; rename one's folder to have both in a report")
    return list(found.values())


def _runs_of_study(study: StudyDir) -> list[RunDir]:
    from pages.views.reports.study_facts import runs_of

    return runs_of(study)


def _runs_of_period(wish: _Wish) -> list[RunDir]:
    """Those whose log was written in it, and the newest others, oldest first."""
    from pages.views.reports.period import PERIOD_S

    since = (wish.event_ts or time.time()) - PERIOD_S[wish.period]

    def written(run: RunDir) -> float:
        try:
            return run.events_file.stat().st_mtime
        except OSError:
            return 0.0

    runs = list(all_runs(runs_home()))
    active = {run.run_id for run in runs if written(run) >= since}
    others = [run.run_id for run in runs if run.run_id not in active][-MOST_OTHERS:]
    return [run for run in runs if run.run_id in active or run.run_id in others]


def _make(wish: _Wish, runs: list[RunDir]) -> dict[str, Any]:
    from pages.views.reports import kinds
    from pages.views.reports.document import to_html
    from storage.ingest import read_new
    from storage.store import Store

    progress, now = Progress(), time.time()
    with Store(None) as store:
        for n, run in enumerate(list(runs)):
            progress("reading the logs", n, len(runs))
            try:
                read_new(store, run.run_id, run.events_file, {})
            except OSError as error:
                if not wish.period and wish.study is None:
                    raise  # of a run that was asked for by name
                runs = [other for other in runs if other is not run]
                print(f"{run.run_id} is left out: {run.events_file.name} can't be read: {error.strerror or error}", file=sys.stderr)
        progress("reading the logs", len(runs), len(runs))
        kind = wish.kind or ("study" if wish.study else "period" if wish.period else kinds.default_kind(len(runs)))
        request = kinds.Request(store, runs, until=wish.event_ts or now, period=wish.period, study=wish.study, progress=progress)
        document = kinds.build(kind, request)
    html = to_html(document, now)
    about = kept.About(kind, document.title, list(document.runs), now, wish.trigger, wish.event_ts, document.summary, document.study)
    subject = document.study or (runs[0].run_id if len(runs) == 1 else kind)
    paths = [] if wish.is_kept and wish.out is None else [wish.out or Path(f"{subject}-report.html")]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_aside(path, html)
    report = kept.keep(runs_home(), html, about) if wish.is_kept else None
    if report is not None:
        paths.append(report.html_file)
    printed = _print(wish, paths) if wish.is_printed else []
    facts = {key: document.facts.get(key) for key in ("best_gain", "episodes")} | ({"study": document.study} if document.study else {})
    return {
        "file": str(paths[0]), "bytes": len(html), "kind": kind, "runs": list(document.runs), "kept": report.name if report else None,
        "pdf": str(printed[0]) if printed else None, **facts,
    }  # fmt: skip


def _print(wish: _Wish, paths: Sequence[Path]) -> list[Path]:
    """As PDF beside each HTML; without a Chromium none."""
    if pdf.find_browser() is None:
        return []
    for path in paths:
        pdf.write_pdf(path, path.with_suffix(".pdf"))
    return [path.with_suffix(".pdf") for path in paths]


def _look_after(delete: str, restore: str, as_json: bool) -> None:
    """The kept reports: delete one, put one back, show those that are there."""
    home = runs_home()
    if delete:
        kept.delete(kept.find(home, delete))
    if restore:
        kept.restore(home, restore)
    found, problems = kept.all_reports(home), kept.problems(home)
    rows: list[dict[str, Any]] = [
        {"name": r.name, "file": str(r.html_file), "bytes": r.n_bytes, "kind": r.about.kind, "title": r.about.title, "runs": r.about.runs,
         "made": r.about.made, "trigger": r.about.trigger, "study": r.about.study}
        for r in found
    ]  # fmt: skip

    def text() -> None:
        for row in rows:
            print(f"{row['name']:<64} {row['bytes']:>8} bytes  {kept.TRIGGERS.get(row['trigger'], row['trigger']):<22} {row['title']}")
        for line in problems:
            print(line)
        if not rows:
            print(f"no saved reports; make one with: {program()} report RUN --keep")

    result({"reports": rows, "problems": problems, "deleted": [r.name for r in kept.deleted(home)]}, as_json, text)
