"""Every action of every page, done as each role, equals the table; and no page changes anything outside of one."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.access import audit
from core.access.actions import ACTIONS
from core.access.roles import Role
from core.config.installation import AccessSettings, Settings, write_settings
from tests.support.paths import ROOT
from tests.support.sign_in import ACCESS, asked_to_sign_in, claims_of
from tests.support.sources import tree_of

ROLES = (Role.SIGNED_OUT, Role.VIEWER, Role.TRAINER, Role.ADMIN)
SOURCES = sorted((ROOT / "pages").rglob("*.py"))
# What changes a home or starts a process; by what stands before the dot, for names that mean it there alone
CHANGES = re.compile(
    r"^(queue\.(submit|fork|resume|cancel|move)|local\.(start|stop|pause|proceed|resume|fork)|trash\.(discard|restore|archive|empty)"
    r"|registry\.(promote|discard|restore|annotate)|sets\.(add_pictures|delete|make_procedural|relabel)|library\.(write|delete)"
    r"|favourites\.(keep|drop)|choices\.(keep|take_back)|kept\.(keep|delete|restore)|pdf\.write_pdf|batch\.(start|again)|films\.start"
    r"|study\.(create|delete)|winners\.\w+|found\.(want_stop|write_config)|job\.(cancel|delete)|which\.(cancel|delete)|addresses\.send"
    r"|subprocess\.\w+|write_settings|write_command|write_label|mark_read|import_archive|pack|export\.(export_runs|bundle)"
    r"|shutil\.\w+|os\.(replace|remove|unlink|rename)|\w+\.(write_text|write_bytes|unlink|rmdir))$"
)
# Called by an action's function alone
WITHIN = {"take_home.py": {"_made", "_folder", "_imported"}, "pareto.py": {"explore"}, "logos.py": {"add"}}
# Callbacks that change nothing but what the visitor sees
SHOWS = {"_note_press", "selected", "picked", "write_address",
    "go", "swap", "pick", "start_from", "relook", "_pin", "_write", "_clear", "_add", "_toggle", "forget_clone", "jump", "rerun", "ignore",
    "st.login", "sign_out", "chooser",
    "_dismiss", "_pick", "_pick_one", "_turn", "_write_columns", "actions.archive", "actions.delete", "actions.restore",  # of several runs: each of them is an action of its own
}  # fmt: skip


GIVEN = {"made", "begin_batch"}  # actions that are given what they do, as a lambda


def functions(tree: ast.AST, above: tuple[str, ...] = ()) -> Iterator[tuple[ast.AST, tuple[str, ...]]]:
    """Every node with the functions around it, each as its name or, decorated as an action, "@" and the action's name."""
    for node in ast.iter_child_nodes(tree):
        inside = above
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            held = [d.args[0].value for d in node.decorator_list if isinstance(d, ast.Call) and ast.unparse(d.func) == "acts"]
            inside = (*above, node.name, *(f"@{name}" for name in held))
        if isinstance(node, ast.Lambda) and isinstance(tree, ast.Call) and ast.unparse(tree.func) in GIVEN:
            inside = (*above, f"@{ast.unparse(tree.func)}")
        yield node, inside
        yield from functions(node, inside)


def is_within(path: Path, above: tuple[str, ...]) -> bool:
    return any(name.startswith("@") or name in WITHIN.get(path.name, ()) for name in above)


def test_nothing_is_changed_outside_of_an_action():
    found, n = [], 0
    for path in SOURCES:
        if path.is_relative_to(ROOT / "pages" / "server"):
            continue
        for node, above in functions(tree_of(path)):
            if isinstance(node, ast.Call | ast.Attribute) and CHANGES.match(ast.unparse(node.func if isinstance(node, ast.Call) else node)):
                n += 1
                if not is_within(path, above):
                    found.append(f"{path.name}:{node.lineno} {ast.unparse(node)[:60]}")
    assert not found, "\n".join(found)
    assert n > 60


def test_what_belongs_to_an_action_is_called_within_one():
    found = []
    for path in SOURCES:
        for node, above in functions(tree_of(path)):
            called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
            if called in WITHIN.get(path.name, ()) and not is_within(path, above):
                found.append(f"{path.name}:{node.lineno} {called}")
    assert not found, "\n".join(found)


def test_every_callback_is_an_action_or_only_shows():
    held, callbacks = set(), {}
    for path in SOURCES:
        for node, above in functions(tree_of(path)):
            held |= {node.name} if isinstance(node, ast.FunctionDef) and above[-1].startswith("@") else set()
            if isinstance(node, ast.keyword) and node.arg in ("on_click", "on_change", "on_select"):
                callbacks[ast.unparse(node.value).strip("'")] = f"{path.name}:{node.value.lineno}"
    unknown = {name: place for name, place in callbacks.items() if name.rpartition(".")[2] not in held and name not in SHOWS}
    unknown = {name: place for name, place in unknown.items() if not name.startswith(("lambda: _zoom(", "actions.restore if "))}
    assert unknown == {} or set(unknown) <= {"callback", "answered"}, unknown


def test_what_does_an_action_is_off_for_whoever_may_not_do_it():
    """Drawn by pages/views/buttons.py rather than by Streamlit's own widgets, which know nothing of roles."""
    held, found, n = set(), [], 0
    for path in SOURCES:
        for node, above in functions(ast.parse(path.read_text(encoding="utf-8"))):
            held |= {node.name} if isinstance(node, ast.FunctionDef) and above[-1].startswith("@") else set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            does = [ast.unparse(word.value) for word in node.keywords if word.arg in ("on_click", "on_change")]
            if not any(
                name.rpartition(".")[2] in held or name in ("actions.archive", "actions.delete", "actions.restore") for name in does
            ):
                continue
            n += 1
            is_locked = any(word.arg is None and ast.unparse(word.value).startswith("locked(") for word in node.keywords)
            if ast.unparse(node.func) != "button" and not is_locked:
                found.append(f"{path.name}:{node.lineno} {ast.unparse(node.func)} {does}")
    assert not found, "\n".join(found)
    assert n > 40


def test_every_action_of_the_table_is_done_somewhere_and_every_one_is_in_it():
    done = set()
    for path in SOURCES:
        done |= set(re.findall(r'^\s*@acts\("([\w.]+)"', path.read_text(encoding="utf-8"), re.MULTILINE))
    assert done == set(ACTIONS)


def every_action() -> None:
    """A page that does every action of the table."""
    import streamlit as st

    from core.access.actions import ACTIONS
    from pages.views.access import acts

    done = st.session_state.setdefault("done", [])
    for name in ACTIONS:
        acts(name, is_drawn=True)(done.append)(name)


@pytest.mark.parametrize("role", ROLES)
def test_every_action_as_every_role(console, home, tmp_path, role):
    with asked_to_sign_in(home, tmp_path):
        page = AppTest.from_function(every_action, default_timeout=30)
        page.user = claims_of(role)
        page.run()
    assert not page.exception
    wanted = [name for name, action in ACTIONS.items() if action.role <= role]
    assert page.session_state["done"] == wanted
    assert len(page.error) == len(ACTIONS) - len(wanted)
    trail = audit.read(home).entries
    assert {entry.action for entry in trail if entry.outcome == "allowed"} == set(wanted)
    assert {entry.action for entry in trail if entry.outcome == "refused"} == set(ACTIONS) - set(wanted)
    assert {entry.role for entry in trail} == {role.label}


def test_a_role_that_is_taken_away_is_gone_at_the_next_action_of_an_open_page(console, home, tmp_path):
    with asked_to_sign_in(home, tmp_path):
        page = AppTest.from_function(every_action, default_timeout=30)
        page.user = claims_of(Role.ADMIN)
        n = len(page.run().session_state["done"])
        write_settings(home, Settings(access=AccessSettings()))
        assert n == len(ACTIONS) == len(page.run().session_state["done"])
        write_settings(home, Settings(access=ACCESS))
        page.user = claims_of(Role.ADMIN, iat=1.0)
        assert len(page.run().session_state["done"]) == n


def test_what_can_not_be_recorded_is_not_done(console, home, tmp_path):
    with asked_to_sign_in(home, tmp_path):
        (home / audit.FILE).mkdir()
        page = AppTest.from_function(every_action, default_timeout=30)
        page.user = claims_of(Role.ADMIN)
        assert page.run().session_state["done"] == []
    page = AppTest.from_function(every_action, default_timeout=30).run()  # on this machine itself, it must be possible to free its disk
    assert page.session_state["done"] == list(ACTIONS)


def test_actions_of_a_person_are_limited(console, home, tmp_path):
    name = "limited@example.com"
    with asked_to_sign_in(home, tmp_path, AccessSettings(admins=[name], actions_per_minute=5)):
        page = AppTest.from_function(every_action, default_timeout=30)
        page.user = claims_of(Role.ADMIN, email=name)
        page.run()
    assert len(page.session_state["done"]) == 5
    assert "5 actions per minute are allowed" in page.error[0].value
    assert {entry.outcome for entry in audit.read(home).entries} == {"allowed", "limited"}


def test_without_sign_in_every_action_is_done_as_before(console, home):
    page = AppTest.from_function(every_action, default_timeout=30).run()
    assert page.session_state["done"] == list(ACTIONS)
    assert {(entry.who, entry.outcome) for entry in audit.read(home).entries} == {("local", "allowed")}
