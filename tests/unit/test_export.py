"""Tables of one or many runs: the same from page and command line, each with its data dictionary."""

from __future__ import annotations

import contextlib
import json
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from core.cli.app import app
from core.errors import RunError
from core.runs.event_fields import table_columns
from core.runs.event_types import RECORDS, Metrics
from core.runs.events import read_events
from core.runs.records import claim
from storage import export, tables
from storage.ingest import catch_up
from storage.schema import RECORD_TABLES
from storage.store import Store
from storage.table_files import FORMATS, read_table
from tests.support.events import write_run
from tests.support.paths import ASSETS
from tests.support.runs import tiny_config


@pytest.fixture
def runs(home):
    return [write_run(home, 20), write_run(home, 15, "other")]


def rows(files: dict[str, tuple[Path, int]]) -> dict[str, int]:
    return {table: n for table, (_, n) in files.items()}


@pytest.mark.parametrize("form", FORMATS)
def test_every_table_of_many_runs_names_its_run_and_has_its_rows(form, runs, tmp_path):
    of_each = [rows(export.export_run(run, form, tmp_path / run.run_id)) for run in runs]
    files = export.export_runs(runs, form, tmp_path / "all").files
    assert list(files) == [*export.KINDS, "dictionary", "run"]
    for kind in export.KINDS:
        table = read_table(files[kind][0])
        assert table.num_rows == files[kind][1] == sum(each[kind] for each in of_each)
        assert table.schema.names[0] == "run_id"
        assert set(table["run_id"].to_pylist()) == {run.run_id for run in runs}
    assert of_each[0]["episodes"] == 20  # what the second attempt did again is there once
    about = json.loads(files["run"][0].read_text())["runs"]
    assert [each["run_id"] for each in about] == [run.run_id for run in runs]


@pytest.mark.parametrize("form", FORMATS)
def test_the_values_are_those_of_the_log(form, runs, tmp_path):
    files = export.export_run(runs[0], form, tmp_path)
    last = {event.step: event for event in read_events(runs[0].events_file, ["episode"])}
    found = read_table(files["episodes"][0]).to_pylist()
    assert [(row["headline_gain"], row["logo"], row["stage"], row["success"]) for row in found] == [
        (event.data.headline_gain, event.data.logo, event.data.stage, event.data.success) for _, event in sorted(last.items())
    ]
    values = [(row["name"], row["value"]) for row in read_table(files["metrics"][0]).to_pylist()]
    assert values == [pair for i in range(1, 21) for pair in (("time/fps", None), ("train/loss", i / 3))]
    settings = {row["setting"]: json.loads(row["value"] or "null") for row in read_table(files["settings"][0]).to_pylist()}
    assert settings["ppo.batch_size"] == 16
    events = read_table(files["events"][0]).to_pylist()
    assert [row["kind"] for row in events] == ["attempt_started", "baseline", "attempt_started", "baseline", "ended"]
    assert json.loads(events[-1]["data"])["best_gain"] == 0.3


@pytest.mark.parametrize("form", FORMATS)
def test_the_dictionary_has_every_column_with_its_type_and_meaning(form, runs, tmp_path):
    files = export.export_runs(runs, form, tmp_path).files
    told = {(row["table"], row["column"]): row for row in read_table(files["dictionary"][0]).to_pylist()}
    for kind in export.KINDS:
        assert told[kind, ""]["meaning"]
        for name in read_table(files[kind][0]).schema.names:
            assert told[kind, name]["type"] in tables.ARROW
            assert told[kind, name]["meaning"], f"{kind}.{name} has no meaning"
    assert told["metrics", "value.train/loss"]["meaning"]


def test_every_field_of_every_event_says_what_it_means():
    schemas = {name: table.schema() for name, table in tables.streams().items()}
    told = {row["column"]: row for row in tables.dictionary(schemas, []) if row["table"] == "events"}
    for kind, of_kind in RECORDS.items():
        for column in table_columns(of_kind) if of_kind not in (Metrics, *RECORD_TABLES.values()) else ():
            assert told[f"{kind}.{column}"]["meaning"], f"{kind}.{column}: a comment beside it in core/runs/event_types.py is its meaning"
    for record_ in RECORD_TABLES.values():
        assert [field.name for field in tables.record_fields(record_) if not field.meaning] == []


def test_a_log_of_the_first_version_is_exported_under_todays_names(home, tmp_path):
    run = claim(home, tiny_config(home))
    run.events_file.write_bytes((ASSETS / "events_v1.jsonl").read_bytes())
    files = export.export_run(run, "parquet", tmp_path)
    assert "headline_gain" in read_table(files["episodes"][0]).schema.names
    assert read_table(files["episodes"][0]).num_rows == sum(event.kind == "episode" for event in read_events(run.events_file))


def test_the_pages_csv_is_the_command_lines_to_the_byte(runs, home, tmp_path, capsys):
    app(["export", runs[0].run_id, "--out", str(tmp_path), "--json"], standalone_mode=False)
    written = json.loads(capsys.readouterr().out.splitlines()[-1])
    with Store(None) as store:
        catch_up(store, home, {})
        for kind in export.KINDS:
            assert export.table_csv(store, runs[0], kind) == Path(written[kind]["file"]).read_bytes()
    assert {key: value["rows"] for key, value in written.items()}["metrics"] == 40


def test_the_console_exports_from_its_own_index_and_packs_one_zip(runs, home, tmp_path):
    told: list[tuple[str, int, int]] = []
    with Store(None) as store:
        catch_up(store, home, {})
        done = export.export_runs(
            runs, "json", tmp_path / "files", ["metrics"], lambda *step: told.append(step), opened=lambda _: contextlib.nullcontext(store)
        )
        export.bundle(done, tmp_path / "all.zip")
    assert list(done.files) == ["metrics", "dictionary", "run"]
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert sorted(archive.namelist()) == ["runs-dictionary.json", "runs-metrics.json", "runs-run.json"]
        assert len(json.loads(archive.read("runs-metrics.json"))) == done.files["metrics"][1] == 70
    assert [step[1:] for step in told] == [(40, 40), (30, 30)]
    assert runs[1].run_id in told[1][0]


def test_a_log_that_cannot_be_read_is_left_out_and_told(runs, tmp_path, capsys):
    runs[1].events_file.unlink()
    runs[1].events_file.mkdir()
    exported = export.export_runs(runs, "csv", tmp_path)
    assert list(exported.left_out) == [runs[1].run_id]
    assert exported.files["episodes"][1] == 20
    with pytest.raises(RunError, match="its log can't be read: Is a directory"):
        export.export_runs(runs[1:], "csv", tmp_path / "none")
    assert list((tmp_path / "none").iterdir()) == []
    with pytest.raises(SystemExit) as ended:
        app(["export", *(run.run_id for run in runs), "--out", str(tmp_path)])
    assert ended.value.code == 1
    assert f"skipped: {runs[1].run_id}" in capsys.readouterr().err


def test_a_run_whose_config_is_broken_is_exported_without_its_settings(runs, tmp_path):
    runs[0].config_file.write_text("ppo: [")
    files = export.export_run(runs[0], "csv", tmp_path)
    assert (files["episodes"][1], files["settings"][1]) == (20, 0)
    assert "config.yaml" in json.loads(files["run"][0].read_text())["problem"]


def test_pandas_reads_the_csv_without_the_dictionary(runs, tmp_path):
    frame = pd.read_csv(export.export_run(runs[0], "csv", tmp_path)["metrics"][0])
    assert frame.loc[frame["name"] == "train/loss", "value"].to_list() == [i / 3 for i in range(1, 21)]
    assert frame.loc[frame["name"] == "time/fps", "value"].isna().all()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--format", "xlsx"], "--format 'xlsx' is not one of csv, json, parquet, archive, onnx"),
        (["--tables", "episodes,weights"], "--tables 'weights' is not one of episodes, metrics"),
        (["--format", "onnx"], "--format onnx takes one run, not 2"),
    ],
)
def test_what_cannot_be_exported_is_one_clear_line(arguments, told, runs, capsys):
    with pytest.raises(SystemExit) as ended:
        app(["export", *(run.run_id for run in runs), *arguments])
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
