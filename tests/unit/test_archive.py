"""Archives of whole runs: what goes in comes out elsewhere; whatever else comes in leaves one clear line and nothing behind."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.cli.app import app
from core.errors import ArchiveError, RunError
from core.machine import Process
from core.runs import archive as archives
from core.runs.archive import MANIFEST, pack
from core.runs.events import EventWriter, read_events
from core.runs.records import read_label, write_heartbeat, write_label, write_process
from core.runs.run_dir import RunDir, all_runs
from core.runs.small_files import Heartbeat
from core.runs.status import Status, run_state
from core.runs.unpack import STAGING, import_archive
from tests.support.events import write_run

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><path d="M0 0h4v4z" fill="#ff0000"/></svg>'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(40)
DIGEST = "0123456789abcdef"


def write_checkpoint(run: RunDir, name: str, weights: bytes, ts: int) -> None:
    folder = run.checkpoints / name
    folder.mkdir(parents=True)
    files = {"policy.pt": weights, "state.json": b"{}", "config.yaml": run.config_file.read_bytes()}
    for file, data in files.items():
        (folder / file).write_bytes(data)
    (folder / "checksums.json").write_text(json.dumps({file: hashlib.sha256(data).hexdigest() for file, data in files.items()}))
    os.utime(folder / "checksums.json", (ts, ts))


@pytest.fixture
def run(tmp_path):
    """A run with all that a training leaves in its folder."""
    found = write_run(tmp_path / "there")
    write_label(found, "Ärger = 1", "a note")
    write_checkpoint(found, "last", b"last", 3000)
    write_checkpoint(found, "best", b"best", 1000)
    write_checkpoint(found, "step-0000000016", b"step", 2000)
    for relative, data in {
        f"pictures/{DIGEST}.png": PNG, f"pictures/{DIGEST}.default.svg": SVG, f"evaluations/0000000020/{DIGEST}.svg": SVG,
        "experience.bin": bytes(100), "train.log": b"a line\n", "commands.txt": b"advance\n",
    }.items():  # fmt: skip
        (found.path / relative).parent.mkdir(parents=True, exist_ok=True)
        (found.path / relative).write_bytes(data)
    here = Process(os.getpid(), 1.0)
    write_heartbeat(found, Heartbeat(here, 1.0, 3, "training"))
    write_process(found, here)
    for name in ("trainer.lock", "stop.json", "notes of mine.txt", ".hidden"):
        (found.path / name).write_text("{}")
    return found


@pytest.fixture
def packed(run, tmp_path) -> Path:
    return pack([run], tmp_path / "packed.zip").path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_another_installation_has_the_whole_run(run, packed, home):
    (imported,) = import_archive(packed, home)
    assert imported.is_new
    assert imported.run.path == home / run.run_id
    of_machine = {"heartbeat.json", "process.json", "trainer.lock", "stop.json", "notes of mine.txt", ".hidden"}
    before = contents(run.path)
    assert contents(imported.run.path) == {name: data for name, data in before.items() if name not in of_machine}
    assert imported.run.checkpoint_names() == run.checkpoint_names() == ["last", "step-0000000016", "best"]
    assert read_label(imported.run)["name"] == "Ärger = 1"
    assert run_state(imported.run).status is Status.COMPLETED
    assert [found.run_id for found in all_runs(home)] == [run.run_id]


def test_the_same_archive_twice_changes_nothing(run, packed, home):
    import_archive(packed, home)
    write_label(RunDir(home / run.run_id), "my own name")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in home.rglob("*")}
    (again,) = import_archive(packed, home)
    assert not again.is_new
    assert "already exists" in again.told
    assert {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in home.rglob("*")} == before


def test_where_a_run_comes_from_it_is_there_already_and_further_on_too(run, packed):
    assert not import_archive(packed, run.path.parent)[0].is_new
    with EventWriter(run.events_file) as log:
        log.write(30, next(read_events(run.events_file)).data)
    assert not import_archive(packed, run.path.parent)[0].is_new


def test_another_run_of_that_name_is_kept_and_the_archive_can_be_taken_in_under_another(run, packed, home):
    other = home / run.run_id
    other.mkdir(parents=True)
    (other / "events.jsonl").write_text("{}\n")
    with pytest.raises(ArchiveError, match="is another run, or an older state of this one; import under another name"):
        import_archive(packed, home)
    (imported,) = import_archive(packed, home, "a-copy")
    assert imported.run.run_id == "a-copy"
    assert read_label(imported.run)["name"] == "a-copy"  # and is shown under it
    assert imported.run.events_file.read_bytes() == run.events_file.read_bytes()
    assert not import_archive(packed, home, "a-copy")[0].is_new
    assert contents(other) == {"events.jsonl": b"{}\n"}


def test_several_runs_travel_in_one_archive(run, tmp_path, home):
    second = write_run(tmp_path / "there", 12, "second")
    both = pack([run, second], tmp_path / "both.zip").path
    import_archive(pack([second], tmp_path / "one.zip").path, home)
    assert [(found.run.run_id, found.is_new) for found in import_archive(both, home)] == [(run.run_id, True), (second.run_id, False)]
    with pytest.raises(ArchiveError, match="holds 2 runs"):
        import_archive(both, home, "name")
    with pytest.raises(RunError, match="different names"):
        pack([run, run], tmp_path / "twice.zip")


def test_the_same_files_give_the_same_archive(run, packed, tmp_path):
    assert pack([run], tmp_path / "again.zip").path.read_bytes() == packed.read_bytes()


def test_a_live_run_is_packed_as_of_one_moment(run, tmp_path, home, monkeypatch):
    """A torn last line waits, and a checkpoint that is being replaced is left out."""
    whole = run.events_file.read_bytes()
    run.events_file.write_bytes(whole + b'{"v": 3, "seq"')
    (run.checkpoints / "best" / "policy.pt").write_bytes(b"half")
    packed = pack([run], tmp_path / "live.zip")
    assert packed.left_out == [f"{run.run_id}/checkpoints/best is damaged or was being replaced"]
    (imported,) = import_archive(packed.path, home)
    assert imported.run.events_file.read_bytes() == whole
    assert imported.run.checkpoint_names() == ["last", "step-0000000016"]


def test_what_an_import_that_was_killed_left_behind_goes_with_the_next(packed, home):
    left = home / f"{STAGING}dead" / "run"
    left.mkdir(parents=True)
    (left / "events.jsonl").write_text("{}")
    import_archive(packed, home)
    assert not list(home.glob(f"{STAGING}*"))


def test_no_room_is_told_before_anything_is_written(packed, home, monkeypatch):
    monkeypatch.setattr("core.runs.unpack.disk_free_mb", lambda _: 10.0)
    with pytest.raises(ArchiveError, match="free some disk space first"):
        import_archive(packed, home)
    assert list(home.iterdir()) == []


# Damaged and hostile archives

Change = Callable[[dict[str, Any], dict[str, bytes], list[tuple[zipfile.ZipInfo, bytes]]], None]


def rewritten(packed: Path, run_id: str, change: Change) -> None:
    """The archive, rewritten. ``change`` is given its manifest, {entry: content}, and a list of entries to be added as they are; what the manifest
    says of a file follows its content, unless the change says otherwise."""
    with zipfile.ZipFile(packed) as old:
        files = {name: old.read(name) for name in old.namelist() if name != MANIFEST}
        manifest = json.loads(old.read(MANIFEST))
    more: list[tuple[zipfile.ZipInfo, bytes]] = []
    before = dict(files)
    change(manifest, files, more)
    for name, data in files.items():
        if before.get(name) not in (None, data):
            of_file = manifest["runs"][run_id]["files"][name.split("/", 1)[1]]
            of_file |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    with warnings.catch_warnings(), zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        warnings.simplefilter("ignore")  # it says so of an entry that stands twice
        for name, data in files.items():
            new.writestr(name, data)
        for info, data in more:
            new.writestr(info, data)
        new.writestr(MANIFEST, json.dumps(manifest))


def adds(path: str, data: bytes = b"x", mode: int = 0o100644, is_named: bool = True) -> Change:
    """An entry more, which the manifest names as a file of the run."""

    def change(manifest: dict[str, Any], files: dict[str, bytes], more: list[tuple[zipfile.ZipInfo, bytes]]) -> None:
        (run_id,) = manifest["runs"]
        info = zipfile.ZipInfo(f"{run_id}/{path}")
        info.external_attr = mode << 16
        more.append((info, data))
        if is_named:
            manifest["runs"][run_id]["files"][path] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "mtime_ns": 0}

    return change


def sets(name: str, data: bytes) -> Change:
    """Other content of a file, which the manifest is right about."""

    def change(manifest: dict[str, Any], files: dict[str, bytes], more: object) -> None:
        (run_id,) = manifest["runs"]
        files[f"{run_id}/{name}"] = data

    return change


def says(**told: Any) -> Change:
    """Other words of the manifest on the log."""

    def change(manifest: dict[str, Any], files: object, more: object) -> None:
        for run in manifest["runs"].values():
            run["files"]["events.jsonl"] |= told

    return change


def drops(name: str) -> Change:
    def change(manifest: dict[str, Any], files: dict[str, bytes], more: object) -> None:
        (run_id,) = manifest["runs"]
        del files[f"{run_id}/{name}"]

    return change


def renames(to: str) -> Change:
    """The run is called otherwise, in the manifest and in the names of all entries."""

    def change(manifest: dict[str, Any], files: dict[str, bytes], more: object) -> None:
        (run_id,) = manifest["runs"]
        manifest["runs"] = {to: manifest["runs"][run_id]}
        for name in list(files):
            files[name.replace(run_id, to, 1)] = files.pop(name)

    return change


def is_version(version: Any) -> Change:
    return lambda manifest, files, more: manifest.update(v=version)


EVIL_SVG = SVG.replace(b"<path", b"<script>alert(1)</script><path")
HOSTILE: dict[str, tuple[Change, str]] = {
    "a name that leads out": (adds("../../evil.txt"), "is not a file of a run"),
    "a name that leads out where a file may be": (adds("checkpoints/../../../evil/policy.pt"), "is not a file of a run"),
    "an absolute name": (adds("/etc/passwd"), "is not a file of a run"),
    "a program": (adds("sitecustomize.py"), "is not a file of a run"),
    "a pickle": (adds("checkpoints/last/agent.pkl"), "is not a file of a run"),
    "a process of its own": (adds("process.json", b"{}"), "is not a file of a run"),
    "a link": (adds("commands.txt", b"/etc/passwd", stat.S_IFLNK | 0o777, is_named=False), "twice"),
    "a link alone": (adds(f"cases/{DIGEST}.png", b"/etc/passwd", stat.S_IFLNK | 0o777), "is a link or a device"),
    "a device": (adds(f"cases/{DIGEST}.png", b"", stat.S_IFCHR | 0o666), "is a link or a device"),
    "what the manifest does not name": (adds("label2.json", is_named=False), "does not list"),
    "an entry twice": (adds("train.log", b"a line\n", is_named=False), "twice"),
    "a file that is missing": (drops("train.log"), "train.log is missing"),
    "another checksum": (says(sha256="0" * 64), "its checksum differs"),
    "another size": (says(bytes=5), "should have 5"),
    "a size below zero": (says(bytes=-1), "is damaged"),
    "a checksum that is none": (says(sha256="../../x"), "is damaged"),
    "too much": (says(bytes=30 * 10**9), "is larger than the"),
    "a time that is none": (says(mtime_ns=2**70), "is damaged"),
    "a newer version": (is_version(2), "of version 2; this version of Tracewright reads 1"),
    "no version": (is_version(None), "of version None"),
    "a run that is called like a folder of the home": (renames("cache"), "is not a valid run name"),
    "a run that is called so as to be hidden": (renames(".trash"), "is not a valid run name"),
    "a run that is called so as to lead out": (renames(".."), "is not a valid run name"),
    "an SVG with a script": (sets(f"evaluations/0000000020/{DIGEST}.svg", EVIL_SVG), "holds <script>"),
    "an SVG with a handler": (sets(f"evaluations/0000000020/{DIGEST}.svg", SVG.replace(b"<path", b'<path onload="x()"')), "holds onload="),
    "an SVG with entities": (sets(f"evaluations/0000000020/{DIGEST}.svg", b'<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG), "document type"),
    "an SVG that is none": (sets(f"pictures/{DIGEST}.default.svg", b"<svg"), "not an SVG made by a run"),
    "a picture that is none": (sets(f"pictures/{DIGEST}.png", b"GIF89a"), "is not a PNG"),
    "a config that can't be used": (sets("config.yaml", b"n_envs: 1000000\n"), "config.yaml can't be used: n_envs = 1000000 is not allowed"),
    "a config with an object": (sets("config.yaml", b"name: !!python/object/apply:os.system [ls]\n"), "config.yaml can't be used"),
    "a log without an event": (sets("events.jsonl", b"nonsense\n"), "holds no event"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_one_clear_line_and_leaves_nothing(kind, run, packed, home, tmp_path):
    change, told = HOSTILE[kind]
    rewritten(packed, run.run_id, change)
    home.mkdir()
    before = contents(tmp_path)
    with pytest.raises(ArchiveError) as refused:
        import_archive(packed, home)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert contents(tmp_path) == before
    assert list(home.iterdir()) == []


def test_the_archive_that_is_rewritten_without_a_change_is_taken_in(run, packed, home):
    rewritten(packed, run.run_id, lambda manifest, files, more: None)
    assert import_archive(packed, home)[0].is_new


def test_a_bomb_is_refused_by_its_size(run, packed, home, monkeypatch):
    rewritten(packed, run.run_id, sets("experience.bin", bytes(10_000_000)))
    monkeypatch.setattr(archives, "ALLOWED", tuple((pattern, min(limit, 1_000_000)) for pattern, limit in archives.ALLOWED))
    with pytest.raises(ArchiveError, match="is larger than the limit of 1 MB"):
        import_archive(packed, home)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("lie", ["size", "encrypted", "another compression"])
def test_an_entry_that_is_not_what_the_zip_says_is_refused(lie, run, packed, home):
    """A bomb that calls itself small, and what would need a password or a library."""
    data = bytes(10_000_000)
    small = {"bytes": 1000, "sha256": hashlib.sha256(data[:1000]).hexdigest(), "mtime_ns": 0}
    with zipfile.ZipFile(packed) as old:
        manifest = json.loads(old.read(MANIFEST))
    manifest["runs"] = {run.run_id: {"files": {"events.jsonl": small}}}
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        new.writestr(f"{run.run_id}/events.jsonl", data)
        new.writestr(MANIFEST, json.dumps(manifest))
        new.filelist[0].file_size = 1000
        new.filelist[0].flag_bits |= lie == "encrypted"
        new.filelist[0].compress_type = zipfile.ZIP_LZMA if lie == "another compression" else zipfile.ZIP_DEFLATED
    assert packed.stat().st_size < 20_000
    with pytest.raises(ArchiveError, match="damaged" if lie == "size" else "is encrypted or uses an unsupported compression"):
        import_archive(packed, home)
    assert list(home.iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"PK", b"not a zip" * 100, b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_archive_is_one_clear_line(data, tmp_path, home):
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(ArchiveError, match=r"^x\.zip is not a "):
        import_archive(tmp_path / "x.zip", home)
    assert list(home.iterdir()) == []


def test_a_folder_a_pipe_and_nothing_are_one_clear_line(tmp_path, home):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "none.zip"):
        with pytest.raises(ArchiveError, match="can't be read"):
            import_archive(path, home)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_archive_that_is_damaged_anywhere_is_refused_or_whole(data, run, packed, home, tmp_path):
    whole = packed.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:at] if data.draw(st.booleans()) else whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    path = tmp_path / "damaged.zip"
    path.write_bytes(damaged)
    where = home / str(len(list(home.glob("*"))))
    told = ""
    try:
        (imported,) = import_archive(path, where)
    except ArchiveError as refused:
        told = str(refused)
    if told:
        assert "\n" not in told
        assert list(where.iterdir()) == []
    else:
        expected = contents(run.path)
        assert all(expected[name] == content for name, content in contents(imported.run.path).items())


def test_the_command_line_exports_and_imports(run, home, tmp_path, monkeypatch, capsys):
    def core(*arguments: str) -> dict[str, Any]:
        app([*arguments, "--json"], standalone_mode=False)
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    told = core("export", str(run.path), "--format", "archive", "--out", str(tmp_path / "out"))
    assert told["runs"] == [run.run_id]
    assert Path(told["file"]) == tmp_path / "out" / f"{run.run_id}.zip"
    for is_new in (True, False):
        assert core("import", told["file"])["runs"] == [{"run_id": run.run_id, "path": str(home / run.run_id), "is_new": is_new}]
    assert core("import", told["file"], "--as", "other")["runs"][0]["run_id"] == "other"
    Path(told["file"]).write_bytes(b"x")
    with pytest.raises(SystemExit) as ended:
        app(["import", told["file"]])
    assert ended.value.code == 2
    assert "is not a ZIP file, or is damaged" in capsys.readouterr().err
