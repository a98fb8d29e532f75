"""The database and the command line on a disk that is full, or read-only, in earnest."""

import contextlib
import json
import os
import subprocess
import sys
import time

import pytest

from core.errors import StoreError
from storage.ingest import Ingest, catch_up
from storage.store import database_file, open_store
from tests.support.damages import N_EPISODES, made
from tests.support.disks import fill, remount
from tests.support.paths import ROOT


def n_episodes(store) -> int:
    return store.rows("SELECT count(*) FROM episodes")[0][0]


def test_a_read_only_home_keeps_its_database_and_says_so(small_disk):
    home = small_disk / "runs"
    run = made(home, "healthy")
    with open_store(home) as store:
        catch_up(store, home, {})
    before = database_file(home).read_bytes()
    remount(small_disk, "ro")
    try:
        with pytest.raises(StoreError, match="nothing was changed"):
            open_store(home)
        done = subprocess.run(
            [sys.executable, "-m", "core", "runs", "list", "--json"],
            cwd=ROOT, env=os.environ | {"TRACEWRIGHT_HOME": str(home)}, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    finally:
        remount(small_disk, "rw")
    assert done.returncode == 0, done.stderr
    assert [row["run_id"] for row in json.loads(done.stdout)["runs"]] == [run.run_id]
    assert database_file(home).read_bytes() == before
    assert not list(home.glob("*.damaged*"))
    with open_store(home) as store:
        assert n_episodes(store) == N_EPISODES


def await_that(condition) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_full_disk_costs_no_database_and_what_was_missed_is_read_when_there_is_room(small_disk):
    home, elsewhere = small_disk / "runs", small_disk / "elsewhere"
    made(home, "first")
    second = made(elsewhere, "second")
    with open_store(home) as store, Ingest(store, home) as ingest:
        await_that(lambda: n_episodes(store) == N_EPISODES)
        fill(small_disk / "filler")
        os.replace(second.path, home / second.run_id)
        await_that(lambda: "space" in ingest.error)
        (small_disk / "filler").unlink()
        await_that(lambda: not ingest.error and n_episodes(store) == 2 * N_EPISODES)
    assert not list(home.glob("*.damaged*"))


def test_a_database_that_finds_no_room_to_open_is_kept(small_disk):
    home = small_disk / "runs"
    made(home, "healthy")
    with open_store(home) as store:
        catch_up(store, home, {})
    before = database_file(home).read_bytes()
    fill(small_disk / "filler")
    with contextlib.suppress(StoreError), open_store(home) as store:  # it may need room to open
        assert n_episodes(store) == N_EPISODES
    assert not list(home.glob("*.damaged*"))
    (small_disk / "filler").unlink()
    assert database_file(home).stat().st_size >= len(before)
    with open_store(home) as store:
        assert n_episodes(store) == N_EPISODES


def test_a_line_of_100_megabytes_is_left_out_and_what_follows_is_read(home):
    run = made(home, "healthy")
    lines = run.events_file.read_bytes().splitlines(keepends=True)
    with run.events_file.open("wb") as file:
        file.writelines(lines[:5])
        file.write(b'{"v": 2, "kind": "' + b"x" * 100_000_000 + b'"}\n')
        file.writelines(lines[5:])
    with open_store(home) as store:
        catch_up(store, home, {})
        assert n_episodes(store) == N_EPISODES
