"""The command line with bad input, without a process: one clear line, and exit code 2."""

from __future__ import annotations

import pytest

from core.cli.app import app
from tests.support.paths import ROOT


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
        (["bench", "everything"], "bench 'everything' is not one of throughput, telemetry, ingest, ui"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(arguments, told, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert told in err
    assert "Traceback" not in err
