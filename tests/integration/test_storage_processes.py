"""The database with several processes: one owner, and readers and writers that are killed."""

import json
import os
import random
import signal
import subprocess
import sys
import time

from core.runs.events import EventWriter
from core.runs.records import claim
from storage.ingest import catch_up
from storage.store import Store
from tests.support.paths import ROOT
from tests.support.runs import tiny_config


def test_a_second_owner_of_the_file_is_told_what_to_do(tmp_path):
    path = tmp_path / "index.duckdb"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom storage.store import Store\nfrom pathlib import Path\nStore(Path({str(path)!r}))"
    with Store(path):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "a console is already running on these runs" in done.stderr


FOLLOWER = """
import sys, time
sys.path.insert(0, {root!r})
from pathlib import Path
from storage.store import Store
from storage.ingest import Ingest
home = Path({home!r})
with Store(home / "index.duckdb") as store, Ingest(store, home):
    print("up", flush=True)
    time.sleep(60)
"""


WRITER = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.support.events import episode
from core.runs.event_types import AttemptStarted
from core.runs.events import EventWriter
with EventWriter(Path({log!r})) as log:
    log.write(0, AttemptStarted(0, 0))
    print("up", flush=True)
    i = 0
    while True:
        i += 1
        log.write(i, episode(i))
"""


def test_killing_reader_and_writer_loses_and_doubles_nothing(tmp_path):
    """kill -9 of both, in random order, several times; then every line is there exactly once."""
    run = claim(tmp_path, tiny_config(tmp_path))
    rng = random.Random(1)
    reader_code = FOLLOWER.format(root=str(ROOT), home=str(tmp_path))
    writer_code = WRITER.format(root=str(ROOT), log=str(run.events_file))
    for _ in range(4):
        children = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for code in (writer_code, reader_code)]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline()
        time.sleep(rng.uniform(0.05, 0.4))  # the moment of the kill is what varies
        for child in rng.sample(children, 2):
            os.kill(child.pid, signal.SIGKILL)
            child.communicate()
    with EventWriter(run.events_file):
        pass
    lines = [json.loads(line) for line in run.events_file.read_bytes().splitlines()]
    with Store(tmp_path / "index.duckdb") as store:
        offsets = store.offsets()
        catch_up(store, tmp_path, offsets)
        rows = store.rows("SELECT seq FROM episodes UNION ALL SELECT seq FROM events ORDER BY 1")
        assert [row[0] for row in rows] == [line["seq"] for line in lines]
        assert store.rows("SELECT n_bad FROM sources") == [(0,)]
