"""Who may do what: identities and roles, the limits, the audit trail, and whether a console starts at an address at all."""

import json
import time

import pytest

from core.access import audit
from core.access.exposure import MIN_TOKEN, Exposure, decide, is_loopback
from core.access.limits import Limit
from core.access.roles import NOBODY, Role, person_of
from core.config.installation import AccessSettings
from core.errors import AccessError
from tests.support.sign_in import ACCESS, AUTH, claims_of

NOW = 1_800_000_000.0


def role(access=ACCESS, **changes):
    return person_of(claims_of(Role.ADMIN) | {"iat": NOW} | changes, access, NOW).role


@pytest.mark.parametrize("wanted", [Role.VIEWER, Role.TRAINER, Role.ADMIN])
def test_a_person_has_the_role_that_the_settings_give(wanted):
    assert person_of(claims_of(wanted, iat=NOW), ACCESS, NOW).role is wanted


@pytest.mark.parametrize(
    "changes",
    [
        {"is_logged_in": False}, {"is_logged_in": "yes"}, {"iat": NOW - 13 * 3600}, {"iat": NOW + 3600}, {"iat": None}, {"iat": "now"},
        {"iat": float("nan")}, {"iat": True}, {"email_verified": False}, {"email_verified": "true"}, {"email_verified": None},
        {"email": "ada@example.com@evil.example"}, {"email": "ada@example.com.evil.example"}, {"email": ["ada@example.com"]}, {"email": None},
    ],
)  # fmt: skip
def test_what_the_provider_does_not_vouch_for_gives_no_role(changes):
    assert role(**changes) is Role.SIGNED_OUT


def test_settings_that_cannot_be_read_give_nobody_a_role():
    assert person_of(claims_of(Role.ADMIN, iat=NOW), None, NOW) is NOBODY


@pytest.mark.parametrize(
    ("entry", "wanted"),
    [
        ("@example.com", Role.ADMIN), ("@EXAMPLE.com", Role.ADMIN), ("Ada@Example.com", Role.ADMIN), ("sub:ada", Role.ADMIN),
        ("sub:ADA", Role.SIGNED_OUT), ("@ample.com", Role.SIGNED_OUT), ("example.com", Role.SIGNED_OUT), ("", Role.SIGNED_OUT),
        ("@", Role.SIGNED_OUT), ("ada", Role.SIGNED_OUT), ("sub:", Role.SIGNED_OUT),
    ],
)  # fmt: skip
def test_an_entry_is_an_address_a_domain_or_an_identifier(entry, wanted):
    assert role(AccessSettings(admins=[entry])) is wanted


def test_an_identifier_cannot_be_given_as_an_address():
    access = AccessSettings(admins=["sub:ada"])
    assert role(access, sub="eve", email="sub:ada", email_verified=True) is Role.SIGNED_OUT
    assert role(access, sub="eve", email="sub:ada@example.com") is Role.SIGNED_OUT


def test_everybody_else_is_nobody_unless_the_settings_say_viewer():
    assert role(AccessSettings()) is Role.SIGNED_OUT
    assert role(AccessSettings(everyone="viewer")) is Role.VIEWER


LOOPBACK = ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "unix://a.sock"]
OPEN = ["0.0.0.0", "::", "", "192.168.1.5", "10.0.0.1", "fe80::1%eth0", "2001:db8::1", "nowhere.invalid"]


@pytest.mark.parametrize("address", LOOPBACK)
def test_this_machine_alone_needs_no_sign_in(address):
    assert is_loopback(address)
    assert decide(address, {}, "", has_authlib=False) == Exposure("local")


@pytest.mark.parametrize("address", OPEN)
def test_an_address_that_others_reach_takes_sign_in_or_a_token(address):
    with pytest.raises(AccessError, match="without sign-in") as told:
        decide(address, {}, "", has_authlib=True)
    assert "\n" not in str(told.value)
    assert decide(address, AUTH, "", has_authlib=True).way == "sign-in"
    assert decide(address, {}, "x" * MIN_TOKEN, has_authlib=True) == Exposure("token", "x" * MIN_TOKEN)
    with pytest.raises(AccessError, match="at least"):
        decide(address, {}, "x" * (MIN_TOKEN - 1), has_authlib=True)


@pytest.mark.parametrize(
    "hosts", ["logos.example.org", "localhost, logos.example.org:8443", "192.168.1.5", "[2001:db8::1]:8444", "2001:db8::2"]
)
def test_a_name_for_others_takes_sign_in_or_a_token(hosts):
    """Behind a proxy the console listens on this machine alone, and yet anybody may come."""
    with pytest.raises(AccessError, match="nobody is asked to sign in") as told:
        decide("127.0.0.1", {}, "", has_authlib=True, hosts=hosts)
    assert "\n" not in str(told.value)
    assert decide("127.0.0.1", AUTH, "", has_authlib=True, hosts=hosts).way == "sign-in"
    assert decide("127.0.0.1", {}, "x" * MIN_TOKEN, has_authlib=True, hosts=hosts).way == "token"


@pytest.mark.parametrize("hosts", ["", " , ", "localhost", "LocalHost:8501, 127.0.0.1", "127.0.0.2:9000", "::1, [::1]:8501"])
def test_a_name_of_this_machine_alone_needs_no_sign_in(hosts):
    assert decide("127.0.0.1", {}, "", has_authlib=False, hosts=hosts) == Exposure("local")


@pytest.mark.parametrize("missing", sorted(AUTH))
def test_sign_in_that_is_set_up_by_half_is_refused_without_quoting_a_secret(missing):
    auth = {key: value for key, value in AUTH.items() if key != missing}
    with pytest.raises(AccessError, match=r"\[auth\]") as told:
        decide("127.0.0.1", auth, "", has_authlib=True)
    assert not any(value in str(told.value) for value in auth.values())


def test_providers_with_a_section_of_their_own_are_enough():
    own = {key: AUTH[key] for key in ("client_id", "client_secret", "server_metadata_url")}
    shared = {key: AUTH[key] for key in ("redirect_uri", "cookie_secret")}
    assert decide("0.0.0.0", shared | {"one": own}, "", True).way == "sign-in"
    with pytest.raises(AccessError, match="two lacks client_secret"):
        decide("0.0.0.0", shared | {"one": own, "two": own | {"client_secret": ""}}, "", True)
    with pytest.raises(AccessError, match="Authlib"):
        decide("0.0.0.0", AUTH, "", has_authlib=False)


def test_a_limit_is_per_person_and_says_how_long_to_wait():
    clock = [0.0]
    limit = Limit(60.0, lambda: clock[0])
    assert [limit.wait_s("a", 1, 2) for _ in range(2)] == [0.0, 0.0]
    clock[0] = 10.0
    assert limit.wait_s("a", 1, 2) == 50.0
    assert limit.wait_s("b", 2, 2) == 0.0
    assert limit.wait_s("b", 3, 2) == float("inf")
    clock[0] = 60.0
    assert limit.wait_s("a", 1, 2) == 0.0


def entry(**changes):
    given = {"who": "ada@example.com", "role": "admin", "action": "run.start", "target": "r1", "outcome": "allowed"}
    return audit.now_entry(**given | changes)


def test_the_trail_is_read_newest_first_and_across_files(home, monkeypatch):
    monkeypatch.setattr(audit, "MAX_BYTES", 1000)
    written = [entry(target=f"r{k}") for k in range(9)]
    for each in written:
        audit.record(home, each)
    assert (home / audit.OLDER).exists()
    assert audit.read(home).entries == written[::-1]
    assert audit.read(home, 2).entries == written[:-3:-1]
    assert (home / audit.FILE).stat().st_mode & 0o077 == 0


def test_a_damaged_trail_is_read_as_far_as_it_goes(home):
    audit.record(home, good := entry())
    bad = [b"{", b"[]", b"\xff\xfe", b"1", b"[" * 5000, json.dumps(good.as_dict() | {"v": 99}).encode()]
    bad += [
        json.dumps(good.as_dict() | {"v": 1, **change}).encode() for change in ({"ts": "x"}, {"who": 1}, {"outcome": "maybe"}, {"ts": True})
    ]
    with (home / audit.FILE).open("ab") as file:
        file.write(b"\n".join(bad))
    found = audit.read(home)
    assert found.entries == [good]
    assert found.n_bad == len(bad)


def test_a_name_with_line_breaks_stays_one_entry(home):
    audit.record(home, entry(who='eve\n{"v": 1}', target="x" * 5000))
    found = audit.read(home)
    assert [each.who for each in found.entries] == ['eve\n{"v": 1}']
    assert len(found.entries[0].target) == audit.MAX_TEXT
    assert found.n_bad == 0


@pytest.mark.parametrize("kind", ["folder", "link", "device"])
def test_what_is_no_file_is_never_written_to(home, tmp_path, kind):
    home.mkdir()
    path, elsewhere = home / audit.FILE, tmp_path / "elsewhere"
    {"folder": path.mkdir, "link": lambda: path.symlink_to(elsewhere), "device": lambda: path.symlink_to("/dev/zero")}[kind]()
    with pytest.raises(OSError):  # noqa: PT011 - each has its own number
        audit.record(home, entry())
    assert not elsewhere.exists()
    started = time.monotonic()
    assert audit.read(home).entries == []
    assert time.monotonic() - started < 5
