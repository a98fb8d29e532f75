"""``baselines fit``: settings found on logos, the same each time, and a file that is read back or refused in one line."""

import json

import pytest

from core.cli.app import app
from core.errors import ConfigError
from core.search.fitted import read_fitted, shipped, write_fitted
from core.tracing.params import BEST_SINGLE, NAMES


def fit(folder, out, capsys) -> dict:
    command = ["baselines", "fit", "--images", str(folder), "--split", "all", "--out", str(out), "--work-size", "32", "--singles", "5"]
    assert not app([*command, "--each", "2", "--size", "4", "--json"], standalone_mode=False)
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_same_command_finds_the_same_settings_each_of_which_adds_something(logo_folder, tmp_path, capsys, monkeypatch):
    data = fit(logo_folder, tmp_path / "a.json", capsys)
    monkeypatch.setenv("TRACEWRIGHT_HOME", str(tmp_path / "another"))  # nothing is known there
    fit(logo_folder, tmp_path / "b.json", capsys)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    found = read_fitted(tmp_path / "a.json")
    assert found.as_dict() == {key: tuple(value) if isinstance(value, list) else value for key, value in data.items() if key != "file"}
    assert found.n_logos == 12
    assert 1 <= len(found.settings) <= 4
    assert list(found.gains) == sorted(set(found.gains))
    assert found.n_conversions >= 12 * len(found.settings)
    assert not app(["baselines", "show", str(tmp_path / "a.json")], standalone_mode=False)
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(found.settings)


def test_the_portfolio_that_ships_is_led_by_the_best_single_setting():
    assert shipped()[0] == BEST_SINGLE
    assert len(shipped()) == 20


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"portfolio": []}', b"\xff\xfe", b"null", b"{}"],
)
def test_a_damaged_file_is_one_clear_line(tmp_path, damage):
    path = tmp_path / "baselines.json"
    path.write_bytes(damage)
    with pytest.raises(ConfigError, match=r"baselines fit"):
        read_fitted(path)


def test_settings_out_of_range_and_unknown_ones_are_refused(tmp_path):
    path = tmp_path / "baselines.json"
    write_fitted(path, read_fitted())
    text = path.read_text()
    assert read_fitted(path) == read_fitted()
    for changed in (
        text.replace(f'"{NAMES[0]}":', f'"{NAMES[0]}":4', 1),
        text.replace(f'"{NAMES[0]}"', '"colours"', 1),
        text.replace("[", "[9,", 1),
    ):
        path.write_text(changed)
        with pytest.raises(ConfigError, match=r"baselines fit"):
            read_fitted(path)
