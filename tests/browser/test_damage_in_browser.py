"""The console in a real browser on a home in which everything that can be damaged is; and where the damage comes while it is up."""

import json
import urllib.request

import pytest

from tests.support.browsers import SETTLED
from tests.support.damages import made, of_logs, of_small_files, remove, ruins
from tests.support.servers import Server, serving

MAIN_PAGES = ("", "live", "new_run", "compare", "gallery", "curriculum", "optimize", "logos", "system", "alerts", "settings", "workbench")


def looks_right(page, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(SETTLED)
    page.locator("h1").first.wait_for()
    assert page.locator("[data-testid=stException]").all_inner_texts() == [], address
    assert "Traceback" not in page.locator("[data-testid=stApp]").inner_text(), address


def listed(url: str) -> dict[str, dict]:
    with urllib.request.urlopen(f"{url}/api/runs", timeout=30) as answer:
        return {row["run_id"]: row for row in json.load(answer)["runs"]}


@pytest.mark.timeout(300)
def test_the_console_stands_on_ruins(home, tmp_path, browse):
    healthy, hurt = ruins(home)
    with serving(home, tmp_path) as server:
        server.await_read(healthy.events_file.stat().st_size)
        page = browse()
        for name in (*MAIN_PAGES, f"live?run={hurt['every line'].run_id}"):
            looks_right(page, f"{server.url}/{name}")
        page.goto(f"{server.url}/?find=damaged")
        page.get_by_text("Damaged").first.wait_for()
        rows = listed(server.url)
        assert rows[healthy.run_id]["problems"] == []
        assert {run.run_id for run in hurt.values()} <= rows.keys()
        named = [what for what, (name, _) in of_small_files().items() if not any(name in p for p in rows[hurt[what].run_id]["problems"])]
        assert not named, "damaged, and not said"


@pytest.mark.timeout(300)
def test_damage_that_comes_while_the_console_is_up_is_shown_as_if_it_had_been_there(home, tmp_path, browse):
    """Small files and logs; each run's line is the same in a console that saw it whole and in one that starts on it."""
    healthy = made(home, "healthy")
    small, logs = of_small_files(), {what: damage for what, damage in of_logs().items() if "long" not in what}
    hurt = {what: made(home, "hurt") for what in [*list(small)[::6], *list(logs)[::6]]}
    server = Server(home, tmp_path / "server.log")
    try:
        server.await_read(sum(run.events_file.stat().st_size for run in (healthy, *hurt.values())))
        page = browse()
        looks_right(page, f"{server.url}/")
        assert all(row["problems"] == [] for row in listed(server.url).values())
        for what, run in hurt.items():
            if what in small:
                name, damage = small[what]
                remove(run.path / name)
                damage(run.path / name)
            else:
                logs[what](run.events_file)
        for name in ("", "live", "compare", "system"):
            looks_right(page, f"{server.url}/{name}")
        live = listed(server.url)
        assert live[healthy.run_id]["problems"] == []
    finally:
        server.end()
    (tmp_path / "later").mkdir()
    with serving(home, tmp_path / "later") as server:
        later = listed(server.url)
    told = ("status", "reason", "problems", "name")
    differ = {
        what: [{key: found[run.run_id].get(key) for key in told} for found in (live, later)]
        for what, run in hurt.items()
        if any(live[run.run_id].get(key) != later[run.run_id].get(key) for key in told)
    }
    assert not differ
