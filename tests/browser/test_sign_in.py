"""Signing in at a real OpenID Connect provider on this machine, and a console that a token opens, in a real Chromium."""

import importlib.util
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest

from core.access import audit
from core.access.exposure import TOKEN_VARIABLE
from core.access.roles import Role
from core.config.installation import Settings, write_settings
from tests.support.browsers import keep_picture
from tests.support.requirements import need
from tests.support.servers import free_port, serving
from tests.support.sign_in import ACCESS, AUTH, PEOPLE

STRANGER = "eve@elsewhere.example"
TOKEN = "planted-token-of-a-shared-console"


@contextmanager
def provider(tmp_path):
    """A provider that knows the people of every role, and a stranger; yields its address."""
    need(importlib.util.find_spec("oidc_provider_mock") and importlib.util.find_spec("authlib"), "oidc-provider-mock and Authlib")
    address = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)]
    for email in (*PEOPLE.values(), STRANGER):
        command += ["--user-claims", json.dumps({"sub": email.partition("@")[0], "email": email, "email_verified": True})]
    with (tmp_path / "provider.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    urllib.request.urlopen(f"{address}/.well-known/openid-configuration", timeout=5).close()
                    break
                except OSError:
                    assert time.monotonic() < deadline
                    assert process.poll() is None, (tmp_path / "provider.log").read_text()
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def asking(home, tmp_path):
    """A console that listens on every address and asks people to sign in."""
    home.mkdir(exist_ok=True)
    write_settings(home, Settings(access=ACCESS))
    with provider(tmp_path) as issuer:
        about = AUTH | {
            "redirect_uri": "http://localhost:{port}/oauth2callback",
            "server_metadata_url": f"{issuer}/.well-known/openid-configuration",
        }
        secrets = tmp_path / "secrets.toml"
        secrets.write_text("[auth]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in about.items()))
        flags = ("--secrets.files", str(secrets), "--server.address", "0.0.0.0")
        with serving(home, tmp_path, *flags, host="localhost", is_open=False) as server:
            yield server


def sign_in(page, url, email):
    page.goto(url)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("button", name=email.partition("@")[0], exact=False).first.click()


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_people_sign_in_and_get_what_their_role_allows(home, tmp_path, browse):
    with asking(home, tmp_path) as server:
        assert status_of(f"{server.url}/api/runs") == 401
        viewer = browse()
        sign_in(viewer, f"{server.url}/system", PEOPLE[Role.VIEWER])
        viewer.get_by_text("vera@example.com · viewer").wait_for()
        viewer.goto(f"{server.url}/runs")
        viewer.get_by_role("button", name="Start the quick run").wait_for()
        assert viewer.get_by_role("button", name="Start the quick run").is_disabled()
        keep_picture(viewer, "viewer")
        assert viewer.request.get(f"{server.url}/api/runs").status == 200
        assert viewer.request.get(f"{server.url}/_stcore/metrics").status == 403

        stranger = browse()
        sign_in(stranger, server.url, STRANGER)
        stranger.get_by_text("You have no role here").wait_for()
        keep_picture(stranger, "no-role")
        assert stranger.request.get(f"{server.url}/api/runs").status == 401

        write_settings(home, Settings())  # everybody's role is taken away while their pages are open
        viewer.get_by_text("You have no role here").wait_for(timeout=20_000)
        write_settings(home, Settings(access=ACCESS))
        viewer.goto(f"{server.url}/runs")
        copy = viewer.context.new_page()
        copy.goto(f"{server.url}/system")
        copy.get_by_text("vera@example.com · viewer").wait_for()
        viewer.get_by_role("button", name="Sign out").click()
        viewer.wait_for_url(lambda url: "/oauth2/end_session" in url)  # the browser came to the address that deletes its cookie
        assert not [cookie["name"] for cookie in viewer.context.cookies(server.url) if "user" in cookie["name"]]
        copy.get_by_role("button", name="Sign in").wait_for(timeout=20_000)  # and every page that it was open in
        trail = audit.read(home).entries
        assert {(e.who, e.action, e.outcome) for e in trail} == {
            ("vera@example.com", "visit", "allowed"),
            ("vera@example.com", "address", "refused"),
        }
        told = server.output.read_text() + "".join(
            p.read_text(errors="replace") for p in home.rglob("*") if p.suffix in (".jsonl", ".json")
        )
        assert AUTH["client_secret"] not in told
        assert AUTH["cookie_secret"] not in told


@pytest.mark.timeout(120)
def test_a_shared_console_takes_its_token_and_says_so_on_every_page(home, tmp_path, browse):
    flags = ("--server.address", "0.0.0.0")
    with serving(home, tmp_path, *flags, host="localhost", is_open=False, environment={TOKEN_VARIABLE: TOKEN}) as server:
        page = browse()
        answer = page.goto(f"{server.url}/runs")
        assert answer.status == 401
        page.goto(f"{server.url}/?token={TOKEN}")
        for name in ("runs", "system", "optimize"):
            page.goto(f"{server.url}/{name}")
            page.get_by_text("Shared by a token").wait_for()
            assert TOKEN not in page.url
        keep_picture(page, "shared")
        assert TOKEN not in server.output.read_text()
