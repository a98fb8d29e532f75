"""Alerts: what is told, once in a while, sent to a real target, tried again, and never lost or doubled by a kill."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from core.config.installation import Settings, write_settings
from core.errors import ConfigError
from core.notifications.addresses import masked, resolved, send
from core.notifications.notices import READ_FILE, last_read_ts, mark_read, notice_of
from core.notifications.notifier import MAX_TRIES, Notifier, summary
from core.runs.events import Event, EventWriter
from core.runs.records import claim
from core.runs.run_dir import RunDir
from tests.support.events import record
from tests.support.runs import tiny_config


def alert(severity="severe", rule="kl_high", title="Updates move the policy too far"):
    return {"rule": rule, "severity": severity, "title": title, "evidence": "approx_kl is 3", "cause": "c.", "remedy": "r."}


@pytest.fixture
def run(home) -> RunDir:
    return claim(home, tiny_config("builtin"))


class Sent(list):
    """A target that notes what it is sent, and fails as often as it is told to."""

    def __init__(self, n_failures: int = 0) -> None:
        super().__init__()
        self.n_failures = n_failures

    def __call__(self, url: str, title: str, text: str) -> str:
        if self.n_failures > 0:
            self.n_failures -= 1
            return "no connection"
        self.append((url, title, text))
        return ""


def made_notifier(home, sent, **notify) -> Notifier:
    write_settings(home, Settings.model_validate({"notify": {"urls": ["json://localhost/a"]} | notify}))
    return Notifier(home, lambda: True, sent)


def tell(run: RunDir, *events) -> None:
    with EventWriter(run.events_file) as writer:
        for kind, data in events:
            writer.write(512, record(kind, **data))


def test_what_is_told_of_which_event():
    def told(kind, data, step=10):
        found = notice_of("r", Event(1, 1, 0.0, step, record(kind, **data)))
        return found and (found.severity, found.title, found.is_milestone)

    assert told("alert", alert()) == ("severe", "Updates move the policy too far", False)
    assert told("ended", {"status": "COMPLETED", "reason": "all steps done", "gain": 0.3}) == ("info", "Run completed", True)
    assert told("ended", {"status": "FAILED", "reason": "x"}) == ("severe", "Run failed", True)
    assert told("stage_ended", {"name": "a", "reason": "passed", "why": "y"}) == ("info", "Stage passed", True)
    assert told("evaluation", {"is_best": True, "gain": 0.1}) == ("info", "New best", True)
    assert told("evaluation", {"is_best": True, "gain": 0.1}, step=0) is None
    assert told("evaluation", {"is_best": False, "gain": 0.1}) is None
    assert told("attempt_started", {"cause": ""}) is None
    assert told("attempt_started", {"cause": "automatic restart 1 of 3"}) == ("warning", "Restarted", False)
    assert told("episode", {}) is None


def test_one_cause_sends_one_message(home, run):
    sent = Sent()
    n = made_notifier(home, sent, pause_minutes=30)
    n.tick(now=1000.0)
    for at in (1010.0, 1020.0, 1030.0):
        tell(run, ("alert", alert()))
        n.tick(now=at)
    assert len(sent) == 1
    tell(run, ("alert", alert(rule="plateau", severity="severe")))
    n.tick(now=1040.0)
    assert len(sent) == 2
    tell(run, ("alert", alert()))
    n.tick(now=1010.0 + 31 * 60)
    assert len(sent) == 3
    assert sent[0][1] == f"Updates move the policy too far: {run.run_id}"


def test_only_what_is_wanted_is_sent(home, run):
    sent = Sent()
    n = made_notifier(home, sent, at_least="severe", milestones=False)
    n.tick()
    tell(run, ("alert", alert("warning")), ("ended", {"status": "COMPLETED", "reason": "done"}), ("alert", alert("severe", "x", "X")))
    n.tick()
    assert [title.split(":")[0] for _, title, _ in sent] == ["X"]


def test_what_was_there_before_is_not_told_again(home, run):
    tell(run, ("alert", alert()))
    sent = Sent()
    n = made_notifier(home, sent)
    n.tick()
    assert sent == []
    later = claim(home, tiny_config("builtin"))  # a run that began since is told whole
    tell(later, ("alert", alert()))
    n.tick()
    assert len(sent) == 1


def test_a_target_that_fails_is_tried_again_then_reported_and_survives_a_restart(home, run):
    sent = Sent(n_failures=2)
    n = made_notifier(home, sent)
    n.tick(now=1000.0)
    tell(run, ("alert", alert()))
    n.tick(now=1010.0)
    n.tick(now=1011.0)  # not yet
    assert (len(sent), sent.n_failures, n.n_waiting) == (0, 1, 1)
    again = Notifier(home, lambda: True, sent)  # the process was killed meanwhile
    again.tick(now=1041.0)
    again.tick(now=1102.0)
    assert (len(sent), again.n_waiting) == (1, 0)
    Notifier(home, lambda: True, sent).tick(now=2000.0)
    assert len(sent) == 1

    broken = Sent(n_failures=1000)
    n = Notifier(home, lambda: True, broken)
    tell(run, ("alert", alert(rule="other")))
    now = 3000.0
    for _ in range(MAX_TRIES):
        n.tick(now=now)
        now += 7200
    assert n.n_waiting == 0
    assert n.failures[-1]["problem"] == "no connection"
    assert (home / "notifications.json").stat().st_mode & 0o077 == 0


def test_a_number_of_tries_that_none_has_stops_no_other_message(home, run):
    write_settings(home, Settings.model_validate({"notify": {"urls": ["json://there"]}}))
    Notifier(home, lambda: True, Sent()).tick(now=1000.0)
    file = home / "notifications.json"
    message = {"url": "json://gone", "title": "t", "text": "x", "not_before": 0.0, "n_tries": 10**9}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"outbox": [message]}))
    sent = Sent()
    n = Notifier(home, lambda: True, sent)
    n.tick(now=1001.0)
    tell(run, ("alert", alert()))
    n.tick(now=1002.0)
    assert len(sent) == 1
    assert (home / "notifications.json.damaged").is_file()


def test_summaries_come_when_they_are_due(home, run):
    sent = Sent()
    n = made_notifier(home, sent, summaries="hourly")
    for at in (1000.0, 2000.0, 4700.0, 5000.0, 8400.0):
        n.tick(now=at)
    assert [title for _, title, _ in sent] == ["Tracewright: hourly summary"] * 2
    assert run.run_id in sent[0][2]
    assert summary(home).startswith("1 stopped")


class Target(BaseHTTPRequestHandler):
    got: list[dict] = []
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        Target.got.append(json.loads(body))
        self.send_response(Target.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def target() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Target)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Target.got, Target.status = [], 200
    yield f"json://127.0.0.1:{server.server_port}/hook"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_message_reaches_a_real_target_through_apprise(home, run, target):
    write_settings(home, Settings.model_validate({"notify": {"urls": [target]}}))
    with Notifier(home, lambda: True) as n:
        deadline = time.monotonic() + 20
        while not (home / "notifications.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        tell(run, ("alert", alert()))
        while not Target.got:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert "approx_kl is 3" in Target.got[0]["message"]
    assert n.failures == []
    Target.status = 500
    assert "did not accept the message" in send(target, "t", "x")
    assert "is not an address that apprise understands" in send("nonsense", "t", "x")


def test_secrets_are_not_shown():
    assert masked("mailto://user:secret@example.com") == "mailto://….com"
    assert "secret" not in masked("slack://secret/token")
    assert masked("json://short") == "json://…"


def test_read_marks(home):
    assert last_read_ts(home) == 0
    mark_read(home, 12.5)
    assert last_read_ts(home) == 12.5
    (home / READ_FILE).write_text("broken")
    assert last_read_ts(home) == 0


def test_an_address_may_be_kept_where_secrets_are(tmp_path, monkeypatch):
    path = tmp_path / "secrets.toml"
    path.write_text('HOOK = "json://planted.example/secret"\n')
    assert resolved("secret:HOOK", path) == "json://planted.example/secret"
    monkeypatch.setenv("HOOK", "json://of-the-environment.example")
    assert resolved("secret:HOOK", path) == "json://of-the-environment.example"
    assert masked("secret:HOOK") == "secret:HOOK"
    assert resolved("json://as.it/is", path) == "json://as.it/is"
    with pytest.raises(ConfigError, match="OTHER is neither"):
        resolved("secret:OTHER", path)
    path.write_text('OTHER = "planted')
    with pytest.raises(ConfigError, match="can't be read") as told:
        resolved("secret:OTHER", path)
    assert "planted" not in str(told.value)
    assert send("secret:nowhere", "title", "text").startswith("secret:nowhere: nowhere is neither")
