"""Secrets that are planted everywhere where secrets may be: none is in what a run, its reports, exports and the console leave behind."""

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from core.access.exposure import TOKEN_VARIABLE
from core.access.roles import Role
from core.cli.app import app
from core.config.installation import NotifySettings, Settings, write_settings
from pages.server.registry import PAGES
from pages.views.reports import kinds
from pages.views.reports.document import to_html
from tests.support.paths import ROOT
from tests.support.sign_in import ACCESS, AUTH, asked_to_sign_in, claims_of

PLANTED = {
    "WANDB_API_KEY": "planted-of-wandb-0123456789", "MLFLOW_TRACKING_TOKEN": "planted-of-mlflow-0123456789", TOKEN_VARIABLE: "planted-of-the-token-0123456789",
    "HOOK": "json://user:planted-of-the-hook@127.0.0.1:1/planted",
}  # fmt: skip
NEEDLES = [value.encode() for value in (*PLANTED.values(), AUTH["client_secret"], AUTH["cookie_secret"], "planted-of-the-hook")]


def leaks(name: str, data: bytes) -> list[str]:
    """Where a secret is in a file, inside archives too."""
    found = [f"{name}: {needle.decode()}" for needle in NEEDLES if needle in data]
    if data[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for inner in archive.namelist():
                found += leaks(f"{name}!{inner}", archive.read(inner))
    return found


def leaks_in(folder: Path) -> list[str]:
    return [
        line for path in sorted(folder.rglob("*")) if path.is_file() for line in leaks(str(path.relative_to(folder)), path.read_bytes())
    ]


@pytest.mark.slow
def test_no_planted_secret_is_in_a_run_its_exports_reports_or_the_console(visit, console, recorded, home, tmp_path, monkeypatch, caplog):
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    out = tmp_path / "out"
    out.mkdir()
    with asked_to_sign_in(home, tmp_path):
        write_settings(home, Settings(access=ACCESS, notify=NotifySettings(urls=["secret:HOOK"], at_least="info")))
        run = recorded(seed=4711)  # trained now, with all of them in its environment
        runner = CliRunner()
        for form in ("csv", "json", "parquet", "archive"):
            done = runner.invoke(app, ["export", run.run_id, "--format", form, "--out", str(out / form)])
            assert done.exit_code == 0, done.output
            (out / f"{form}.txt").write_text(done.output)
        (out / "report.html").write_bytes(to_html(kinds.build("run", kinds.Request(console.store, [run]))))
        shown = ""
        for page in PAGES:
            at = visit(page.name)
            at.user = claims_of(Role.ADMIN)
            at.run()
            shown += repr([getattr(each, "value", "") for each in at.main])
        (out / "pages.txt").write_text(shown)
        done = runner.invoke(app, ["runs", "notify", "--json"])
        (out / "notify.txt").write_text(done.output)
        assert "secret:HOOK" in done.output
    (out / "log.txt").write_text(caplog.text)
    assert sum(path.is_file() for path in home.rglob("*")) > 20
    assert len(list(out.rglob("*"))) > 8
    assert leaks_in(home) + leaks_in(out) == []
    assert leaks("x", b"a " + NEEDLES[0])


@pytest.mark.parametrize("damage", ["client_secret = 'planted-client-secret", "= planted-client-secret", "[auth"])
def test_a_damaged_secrets_file_is_told_without_a_line_of_it(home, tmp_path, damage):
    path = tmp_path / "secrets.toml"
    path.write_text(f"[auth]\n{damage}\n")
    code = "import sys; sys.argv = sys.argv[1:]; from streamlit import config; config.set_option('secrets.files', [sys.argv[0]])\n"
    code += "from pages.server import service; service.decide_access()"
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "error: " in done.stderr
    assert "planted-client-secret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
