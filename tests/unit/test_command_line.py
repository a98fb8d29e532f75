"""The command line with bad input, without a process: one clear line, and exit code 2."""

from __future__ import annotations

import io

import pytest
import typer

from core.cli.app import app
from core.cli.common import clear_errors
from core.errors import CheckpointError, TrainingError
from core.logos.sets import sets_folder
from core.runs.event_types import AttemptStarted, Ended
from core.runs.events import EventWriter
from core.runs.records import claim, read_label
from core.runs.run_dir import find_run
from storage.store import Store, database_file
from tests.support.batches import made_up_batch
from tests.support.events import write_run
from tests.support.paths import ROOT
from tests.support.runs import tiny_config


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["train"], "give --config FILE or --resume RUN"),
        (["train", "--config", "none.yaml"], "none.yaml can't be read"),
        (["train", "--config", "configs/quick.yaml", "--set", "ppo.gamma=2"], "ppo.gamma = 2 is not allowed"),
        (["train", "--resume", "nothing"], "no run 'nothing'"),
        (["runs", "show", "../x"], "no run '../x'"),
        (["runs", "stop", "x"], "no run 'x'"),
        (["export", "x"], "no run 'x'"),
        (["export", "x", "--format", "xlsx"], "--format 'xlsx' is not one of csv, json, parquet, archive, onnx"),
        (["import", "none.zip"], "none.zip can't be read: No such file or directory"),
        (["import", "README.md", "--format", "archive"], "README.md is not a ZIP file, or is damaged"),
        (["import", "README.md"], "README.md contains neither TensorBoard event files"),
        (["import", "README.md", "--format", "pdf"], "not one of archive, tensorboard, neptune"),
        (["import", "a.zip", "b.zip", "--as", "c"], "--as names a single run, but there are 2 sources"),
        (["runs", "queue", "--config", "configs/quick.yaml", "--set", "logos.path=nowhere"], "is not a folder"),
        (["runs", "move", "x", "sideways"], "'sideways' is not one of first, last, up, down"),
        (["runs", "fork", "x"], "no run 'x'"),
        (["runs", "notify"], "no address is set"),
        (["runs", "alerts", "--at-least", "much"], "--at-least 'much' is not one of info, warning, severe"),
        (["train", "--checkpoint", "best"], "give --resume RUN too"),
        (["evaluate", "--methods", "magic"], "--methods 'magic' is not one of"),
        (["evaluate", "--methods", "policy"], "needs --model"),
        (["evaluate", "--methods", "default", "--images", "nowhere"], "is not a folder"),
        (["logos", "check", "nowhere"], "is not a folder"),
        (["logos", "make"], "Missing option"),
        (["logos", "trace", "none.png"], "none.png"),
        (["logos", "trace", "none.png", "--params", "1,2"], "holds 2 numbers, not 10 or 7"),
        (["logos", "trace", "none.png", "--params", "a,b"], "is not 10 numbers"),
        (["logos", "trace", "none.png", "--params", "0,16,60,4,10,45,2"], "color_precision = 0 is not a whole number in [1, 8] bits"),
        (["search", "--config", "configs/studies/learning.yaml", "--trials", "200000"], "less than or equal to 100000"),
        (["search", "--json", "list"], "options of a command follow it"),
        (["runs", "queue", "--set", "seed=2"], "give --config FILE too"),
        (["train", "--run-dir", "tests", "--curriculum", "none"], "give --config FILE or --resume RUN"),
        (["export", "x", "--format", "archive", "--tables", "runs"], "--tables is of csv, json and parquet"),
        (["report", "x", "--out", "docs"], "is a directory"),
        (["logos", "trace", "none.png", "--out", "."], "is a directory"),
        (["runs", "compare", "x", "y", "--out", "docs"], "is a directory"),
        (["bench", "ui", "--out", "docs"], "is a directory"),
        (["bench", "everything"], "bench 'everything' is not one of throughput, telemetry, ingest, ui"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(arguments, told, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert told in " ".join(err.replace("│", " ").split())
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (TrainingError("the networks hold no numbers"), 1, "error: the networks hold no numbers"),
        (CheckpointError("no checkpoint best"), 2, "error: no checkpoint best"),
        (OSError("the disk is gone"), 1, "error: the disk is gone"),
        (FileNotFoundError(2, "No such file or directory", "a.png"), 1, "error: a.png: No such file or directory"),
    ],
)
def test_whatever_of_ours_fails_is_one_line(error, code, told, capsys):
    with pytest.raises(typer.Exit) as ended, clear_errors():
        raise error
    assert ended.value.exit_code == code
    assert capsys.readouterr().err.strip() == told


def test_a_note_that_is_no_text_is_one_line(home, capsys, monkeypatch):
    run = write_run(home)
    monkeypatch.setenv("TRACEWRIGHT_HOME", str(home))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"caf\xe9"), encoding="utf-8"))
    with pytest.raises(SystemExit) as ended:
        app(["runs", "note", run.run_id, "-"])
    assert ended.value.code == 2
    assert "is not UTF-8 text (byte 3)" in capsys.readouterr().err


def test_a_checkpoint_that_is_not_there_is_said_before_anything_starts(home, capsys, monkeypatch):
    run = claim(home, tiny_config(home))
    with EventWriter(run.events_file) as log:
        log.write(0, AttemptStarted(from_step=0, total_timesteps=8, pid=1))
        log.write(4, Ended("STOPPED", "asked to stop"))
    monkeypatch.setenv("TRACEWRIGHT_HOME", str(home))
    with pytest.raises(SystemExit) as ended:
        app(["runs", "resume", run.run_id, "--checkpoint", "bset"])
    assert ended.value.code == 2
    assert "no checkpoint 'bset'" in capsys.readouterr().err


def test_a_damaged_index_is_rebuilt(home, capsys, monkeypatch):
    write_run(home)
    monkeypatch.setenv("TRACEWRIGHT_HOME", str(home))
    database_file(home).write_bytes(b"no database" * 1000)
    with pytest.raises(SystemExit) as ended:
        app(["rebuild"])
    assert ended.value.code == 0
    assert "events read into" in capsys.readouterr().out
    with Store(database_file(home)) as store:
        assert store.rows("SELECT count(*) FROM runs") == [(1,)]


def test_batches_sets_and_names_are_changed_as_on_the_pages(home, capsys, monkeypatch):
    monkeypatch.setenv("TRACEWRIGHT_HOME", str(home))
    batch, run = made_up_batch(home).batch_id, write_run(home).run_id
    (sets_folder(home) / "mine").mkdir(parents=True)

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            app(list(arguments))
        told = capsys.readouterr()
        assert ended.value.code == 0 or told.err.count("\n") == 1
        return told.out + told.err

    assert "is done; only one that is worked on can be cancelled" in call("batches", "cancel", batch)
    assert f"batches restore {batch}" in call("batches", "delete", batch)
    assert call("batches", "list") == ""
    assert call("batches", "list", "--deleted").startswith(f"{batch}  done          3 pictures")
    assert "there is no batch" in call("batches", "delete", batch)
    assert "is restored" in call("batches", "restore", batch)
    assert call("batches", "list").startswith(batch)
    assert "is not among what was deleted" in call("batches", "restore", "20200101-000000")
    assert "is called better" in call("runs", "rename", run, " better ")
    assert "81 characters; at most 80" in call("runs", "rename", run, "x" * 81)
    assert read_label(find_run(run, home))["name"] == "better"
    assert "is not a set of this console" in call("logos", "delete", str(home), "--yes")
    assert "is deleted" in call("logos", "delete", str(sets_folder(home) / "mine"), "--yes")
    assert not (sets_folder(home) / "mine").exists()
