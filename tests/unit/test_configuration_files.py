"""The files that configure the server."""

import os
from pathlib import Path

from core.config.installation import Settings, write_settings
from core.files import remove, write_aside
from tests.support.paths import ROOT


def test_the_server_answers_only_this_machine():
    import tomllib

    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["server"]["address"] == "127.0.0.1"
    assert settings["browser"]["gatherUsageStats"] is False


def test_a_folder_in_the_place_of_a_file_is_kept_beside_it(tmp_path):
    place = tmp_path / "ticket.json"
    (place / "of mine").mkdir(parents=True)
    assert remove(place)
    assert not place.exists()
    place.mkdir()
    write_aside(place, b"{}")
    assert place.read_bytes() == b"{}"
    assert remove(place)
    assert not remove(place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ticket.json.damaged", "ticket.json.damaged-2"]
    assert (tmp_path / "ticket.json.damaged" / "of mine").is_dir()


def test_what_is_for_nobody_else_is_so_from_its_first_byte(tmp_path, monkeypatch):
    modes = []
    real = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (modes.append(Path(a).stat().st_mode & 0o777), real(a, b)))
    write_aside(tmp_path / "secret", b"x", mode=0o600)
    write_settings(tmp_path, Settings())
    assert modes == [0o600, 0o600]
    assert (tmp_path / "secret").read_bytes() == b"x"
