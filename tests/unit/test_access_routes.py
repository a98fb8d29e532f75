"""Every address of the server, asked for as each role, equals the table; and by token."""

import asyncio
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.responses import PlainTextResponse

from core.access import audit, sign_outs
from core.access.exposure import TOKEN_VARIABLE
from core.access.roles import Role
from core.config.installation import AccessSettings, Settings, write_settings
from pages.server import identity
from pages.server.routes import RULES, TOKEN_COOKIE, Gate, rule_of
from tests.support.addresses import ADDRESSES
from tests.support.sign_in import AUTH, asked_to_sign_in, claims_of, cookies_of

WAITING = (Role.SIGNED_OUT, Role.VIEWER, Role.TRAINER, Role.ADMIN)


class Door:
    """Speaks ASGI to the gate, as a server does for whoever connects."""

    def __init__(self) -> None:
        async def inside(scope, receive, send):
            if scope["type"] == "http":
                await PlainTextResponse("in")(scope, receive, send)
            else:
                await send({"type": "websocket.accept"})

        self.app = Gate(inside)

    def ask(self, path, cookies=None, method="GET", kind="http", query="", headers=()):
        """(status, headers) of a request; of a websocket (101 or 403, {})."""
        raw = [*headers, *([(b"cookie", "; ".join(f"{k}={v}" for k, v in cookies.items()).encode())] if cookies else [])]
        scope = {
            "type": kind, "method": method, "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": query.encode(),
            "root_path": "", "headers": raw, "http_version": "1.1",
        }  # fmt: skip
        sent = []

        async def receive():
            return {"type": "http.request"} if kind == "http" else {"type": "websocket.connect"}

        async def send(message):
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        if kind == "websocket":
            return (101 if sent[0]["type"] == "websocket.accept" else 403), {}
        return sent[0]["status"], {key.decode(): value.decode() for key, value in sent[0]["headers"]}


@pytest.fixture
def signed_in(home, tmp_path):
    with asked_to_sign_in(home, tmp_path):
        yield Door()


def test_every_address_has_the_role_of_the_table():
    assert {path: rule_of(path).role for path in ADDRESSES} == ADDRESSES
    for rule in RULES:  # none is there for nothing
        assert rule_of(f"{rule.path}x" if rule.path.endswith("/") and len(rule.path) > 1 else rule.path).path == rule.path


@pytest.mark.parametrize("role", WAITING)
def test_every_address_as_every_role(signed_in, role):
    cookies = cookies_of(claims_of(role))
    for path, least in ADDRESSES.items():
        wanted = 404 if least is None else 200 if role >= least else 401 if role is Role.SIGNED_OUT else 403
        assert signed_in.ask(path, cookies)[0] == wanted, path
        assert signed_in.ask(path, cookies, kind="websocket")[0] == (101 if wanted == 200 else 403), path


def test_what_a_person_was_refused_is_in_the_trail(signed_in, home):
    signed_in.ask("/_stcore/metrics", cookies_of(claims_of(Role.VIEWER)))
    signed_in.ask("/_stcore/metrics")  # whoever is signed out could fill the disk with it
    (entry,) = audit.read(home).entries
    assert (entry.who, entry.role, entry.target, entry.outcome) == ("vera@example.com", "viewer", "/_stcore/metrics", "refused")


def test_a_role_that_is_taken_away_is_gone_at_the_next_request(signed_in, home):
    cookies = cookies_of(claims_of(Role.ADMIN))
    assert signed_in.ask("/api/runs", cookies)[0] == 200
    write_settings(home, Settings(access=AccessSettings()))
    assert signed_in.ask("/api/runs", cookies)[0] == 401
    (home / "settings.yaml").write_text("access: [")
    assert signed_in.ask("/api/runs", cookies)[0] == 401


def test_a_sign_out_ends_what_is_open_elsewhere_with_the_same_cookie(signed_in):
    now = time.time()
    mine, other = claims_of(Role.ADMIN, nonce="one", iat=now), claims_of(Role.ADMIN, nonce="two", iat=now)
    assert signed_in.ask("/auth/logout", cookies_of(mine))[0] == 200
    assert signed_in.ask("/api/runs", cookies_of(mine))[0] == 401
    assert identity.person(mine).role is Role.SIGNED_OUT  # as a page that is still open has it
    assert signed_in.ask("/api/runs", cookies_of(other))[0] == 200


def test_a_sign_out_outlives_the_server(signed_in, home, monkeypatch):
    now = time.time()
    mine, other = claims_of(Role.ADMIN, nonce="one", iat=now), claims_of(Role.ADMIN, nonce="two", iat=now)
    signed_in.ask("/auth/logout", cookies_of(mine))
    assert str(mine["email"]) not in (home / sign_outs.FILE).read_text()  # digests alone
    monkeypatch.setattr(identity, "_sign_outs", None)  # as after a restart
    assert signed_in.ask("/api/runs", cookies_of(mine))[0] == 401
    assert signed_in.ask("/api/runs", cookies_of(other))[0] == 200


@pytest.mark.parametrize(
    "damage", ['{"ended', "[]", '{"ended": {"a": "b"}}', '{"ended": [1]}', '{"all_before": null}', '{"all_before": "x"}']
)
def test_sign_outs_that_cannot_be_read_end_every_older_sign_in(signed_in, home, monkeypatch, damage):
    (home / sign_outs.FILE).write_text(damage)
    monkeypatch.setattr(identity, "_sign_outs", None)
    before, after = claims_of(Role.ADMIN, nonce="one", iat=time.time() - 60), claims_of(Role.ADMIN, nonce="two", iat=time.time() + 60)
    assert signed_in.ask("/api/runs", cookies_of(before))[0] == 401
    assert signed_in.ask("/api/runs", cookies_of(after))[0] == 200
    signed_in.ask("/auth/logout", cookies_of(after))
    monkeypatch.setattr(identity, "_sign_outs", None)
    assert [signed_in.ask("/api/runs", cookies_of(claims))[0] for claims in (before, after)] == [401, 401]


def test_old_sign_outs_are_forgotten(home):
    clock = iter((0.0, 0.0, sign_outs.KEPT_S + 1.0))  # asked once when it is read
    kept = sign_outs.SignOuts(home, lambda: next(clock))
    for mark in ("old", "new"):
        kept.end(mark)
    assert [kept.has_ended(mark, 0) for mark in ("old", "new")] == [False, True]


@pytest.mark.parametrize("change", ["another secret", "cut short", "not signed", "expired"])
def test_a_cookie_that_is_not_ours_is_nobodys(signed_in, change):
    good = cookies_of(claims_of(Role.ADMIN))
    name, value = next(iter(good.items()))
    bad = {
        "another secret": cookies_of(claims_of(Role.ADMIN), "y" * 40),
        "cut short": {name: value[:-3]},
        "not signed": {name: '{"is_logged_in":true,"email":"ada@example.com"}'},
        "expired": cookies_of(claims_of(Role.ADMIN, iat=1.0)),
    }[change]
    assert signed_in.ask("/api/runs", good)[0] == 200
    assert signed_in.ask("/api/runs", bad)[0] == 401


def test_uploads_of_a_person_are_limited_and_say_their_size(signed_in, home):
    write_settings(home, Settings(access=AccessSettings(trainers=["tom@example.com", "ted@example.com"], upload_mb_per_hour=1)))
    cookies, path = cookies_of(claims_of(Role.TRAINER)), "/_stcore/upload_file/s/f"
    size = lambda n: [(b"content-length", str(n).encode())]
    assert signed_in.ask(path, cookies, "PUT")[0] == 411
    assert signed_in.ask(path, cookies, "PUT", headers=[(b"content-length", "²".encode("latin-1"))])[0] == 411
    assert [signed_in.ask(path, cookies, "PUT", headers=size(600_000))[0] for _ in range(2)] == [200, 429]
    assert signed_in.ask(path, cookies, "PUT", headers=size(2_000_000))[0] == 429
    ted = cookies_of(claims_of(Role.TRAINER, email="ted@example.com", sub="ted"))
    assert signed_in.ask(path, ted, "PUT", headers=size(600_000))[0] == 200


def test_without_sign_in_everything_is_as_before(home):
    door = Door()
    assert {path for path, least in ADDRESSES.items() if door.ask(path)[0] != 200} == {p for p, least in ADDRESSES.items() if least is None}


@pytest.fixture
def shared(home, monkeypatch):
    monkeypatch.setenv(TOKEN_VARIABLE, "planted-token-of-a-shared-console")
    monkeypatch.setattr(identity, "_token", "")
    identity.open_to()
    return Door()


def test_a_shared_console_takes_its_token_for_everything(shared):
    for path in ADDRESSES:
        if path != "/_stcore/health":
            assert shared.ask(path)[0] == 401, path
            assert shared.ask(path, {TOKEN_COOKIE: "x"})[0] == 401
            assert shared.ask(path, kind="websocket", query=f"token={identity.token()}")[0] == 403
    assert shared.ask("/live", query="token=wrong")[0] == 401
    assert shared.ask("/live", query=f"token={identity.token()}&token=x")[0] == 401


def test_the_token_moves_from_the_address_into_a_cookie(shared):
    status, headers = shared.ask("/live", query=f"run=a%26b&token={identity.token()}")
    assert status == 303
    where = urlsplit(headers["location"])
    assert (where.path, parse_qs(where.query)) == ("/live", {"run": ["a&b"]})
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert identity.token() not in cookie
    name, _, value = cookie.partition(";")[0].partition("=")
    for path, least in ADDRESSES.items():
        wanted = 404 if least is None else 200 if least <= Role.TRAINER else 403
        assert shared.ask(path, {name: value})[0] == wanted, path
    assert shared.ask("/_stcore/stream", {name: value}, kind="websocket")[0] == 101


def test_the_token_leads_nowhere_else(shared):
    for path in ("//evil.example", "/\\evil.example", "/api/runs", "/nothing"):
        assert shared.ask(path, query=f"token={identity.token()}")[1]["location"] == "/"


def test_a_secrets_file_that_cannot_be_read_opens_nothing(home, tmp_path, monkeypatch):
    with asked_to_sign_in(home, tmp_path):
        monkeypatch.setattr(identity, "_asks", False)
        (tmp_path / "secrets.toml").write_text('[auth]\nclient_secret = "planted')
        identity.secrets_singleton._reset()
        assert identity.way() == "sign-in"
        assert Door().ask("/api/runs", cookies_of(claims_of(Role.ADMIN)))[0] == 401
        with pytest.raises(identity.AccessError, match=r"secrets\.toml can't be read") as told:
            identity.open_to()
        assert "planted" not in str(told.value)
    assert AUTH["client_secret"].startswith("planted")
