"""Pages under sign-in, with a recorded run behind them: what the signed-out and viewers see and get done."""

from pathlib import Path

import pytest

from core.access import audit
from core.access.actions import ACTIONS
from core.access.roles import Role
from pages.server.registry import PAGES
from tests.support.sign_in import asked_to_sign_in, claims_of


def files(home: Path) -> dict[str, bytes]:
    """What a home holds, apart from what only records, indexes or caches."""
    left_out = (".wal", ".lock", ".duckdb", audit.FILE)
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file()
        and not path.name.endswith(left_out)
        and "cache" not in path.parts
        and not path.name.startswith("scheduler")
        and path.name != "notifications.json"
        and "reports" not in path.parts  # the console makes some by itself
    }


def test_whoever_is_signed_out_sees_nothing_of_any_page(visit, recorded, home, tmp_path):
    run = recorded()
    with asked_to_sign_in(home, tmp_path):
        for page in PAGES:
            shown = visit(page.name)
            text = "\n".join(str(getattr(e, "value", "")) + str(getattr(e, "label", "")) for e in shown.main)
            assert not shown.exception
            assert [button.label for button in shown.button] == ["Sign in"], page.name
            assert run.run_id not in text
            assert not shown.sidebar.children
            assert not shown.title


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", [page.name for page in PAGES])
def test_a_viewer_presses_every_button_and_changes_nothing(visit, recorded, home, tmp_path, page):
    recorded()
    with asked_to_sign_in(home, tmp_path):
        shown = visit(page)
        shown.user = claims_of(Role.VIEWER)
        shown.run()
        assert shown.title, page
        before = files(home)
        for key in [button.key for button in shown.button if not button.disabled and button.key not in ("access.out", None)]:
            if any(button.key == key for button in shown.button):
                shown.button(key=key).click().run()
                assert not shown.exception, key
        assert files(home) == before
    for entry in audit.read(home).entries:
        assert entry.role == "viewer"
        assert entry.outcome == "allowed", f"the button of {entry.action} is not off"
        assert entry.action == "visit" or ACTIONS[entry.action].role <= Role.VIEWER


def test_a_viewer_sees_which_role_a_button_takes(visit, recorded, home, tmp_path):
    run = recorded()
    with asked_to_sign_in(home, tmp_path):
        shown = visit("runs")
        shown.user = claims_of(Role.VIEWER)
        shown.run()
        delete = shown.button(key=f"delete.{run.run_id}")
        assert (delete.disabled, delete.help) == (True, "Takes the role trainer; you are viewer.")
        assert shown.text_input(key=f"name.{run.run_id}").disabled
        shown.user = claims_of(Role.TRAINER)
        shown.run()
        assert not shown.button(key=f"delete.{run.run_id}").disabled
