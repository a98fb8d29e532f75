"""A million metric rows leave as CSV and Parquet within bounded memory, with progress, and read back exactly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from core.bench.ingest import METRICS, write_run
from core.config.config import RunConfig
from core.runs.records import claim
from storage.table_files import read_table
from tests.support.paths import ROOT
from tests.support.requirements import need

N_ROWS, MAX_MB = 1_000_000, 500
PEAK = """
import sys
from core.cli.app import app
app(sys.argv[1:], standalone_mode=False)
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")), file=sys.stderr)
"""


@pytest.mark.timeout(300)
def test_a_million_rows_stream_out_and_read_back_exactly(home, tmp_path):
    need(Path("/proc/self/status").is_file(), "/proc, which says how much memory a process took")
    run = claim(home, RunConfig(name="large"))
    n_written, _ = write_run(run, N_ROWS // len(METRICS), 0)
    assert n_written == N_ROWS
    files = {}
    for form in ("csv", "parquet"):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, "export", run.run_id, "--format", form, "--tables", "metrics", "--out", str(tmp_path), "--json"],
            cwd=ROOT, env=os.environ | {"TRACEWRIGHT_HOME": str(home)}, capture_output=True, text=True, timeout=140,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        peak_mb = int(done.stderr.rsplit("VmHWM:", 1)[1].split()[0]) / 1000
        assert peak_mb < MAX_MB, f"{form}: {peak_mb:.0f} MB"
        assert f"metrics {N_ROWS}/{N_ROWS}" in done.stderr
        assert "reading its log, MB" in done.stderr
        files[form] = Path(json.loads(done.stdout.splitlines()[-1])["metrics"]["file"])
    assert not list(tmp_path.glob(".*"))
    tables = {form: read_table(file) for form, file in files.items()}
    assert tables["csv"].equals(tables["parquet"])
    logged = [event["data"] for event in map(orjson.loads, run.events_file.read_bytes().splitlines()) if event["kind"] == "metrics"]
    expected = [(name, data[name]) for data in logged for name in sorted(data)]
    assert list(zip(tables["csv"]["name"].to_pylist(), tables["csv"]["value"].to_pylist(), strict=True)) == expected
