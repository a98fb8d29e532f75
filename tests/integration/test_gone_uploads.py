"""Uploads that a browser still tells of and the server has no longer: its field was emptied a moment ago, or another server took its place."""

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from tests.support.logos import png
from tests.support.pages import texts


@pytest.mark.parametrize(
    ("name", "key", "address"),
    [
        ("optimize", "files.0", {}),
        ("logos", "set.files.0", {"tab": "Make a set"}),
        ("workbench", "bench.file.0", {"source": "a picture of my own"}),
        ("new_run", "upload", {}),
        ("runs", "take.files.0", {"take": "import"}),
    ],
)
def test_an_upload_that_is_gone_fells_no_page(name, key, address, visit, home, monkeypatch):
    page = visit(name, **address)
    uploader = page.file_uploader(key=key)
    file = ("mine.png", png(1, 64), "image/png")
    if name == "new_run":
        file = ("mine.yaml", b"seed: 7\n", "text/yaml")
    elif name == "runs":
        file = ("mine.zip", b"PK", "application/zip")
    uploader.set_value(file)
    monkeypatch.setattr(MemoryUploadedFileManager, "get_files", lambda *_, **__: [])
    page.run()
    assert not page.exception
    assert not list((home / "uploads").glob("*"))
    if name == "new_run":
        assert "Choose it again" in texts(page)


def test_files_stay_when_the_next_click_comes_with_the_address_of_before(visit, home):
    page = visit("logos", tab="Make a set")
    page.file_uploader(key="set.files.0").set_value(("mine.png", png(1, 64), "image/png")).run()
    (waits,) = (home / "uploads").iterdir()
    del page.query_params["given"]
    page.text_input(key="set.name").set_value("brands").run()
    assert not page.exception
    assert page.query_params["given"] in (waits.name, [waits.name])
    assert not page.button(key="set.add").disabled
    page.button(key="set.add").click().run()
    assert not page.exception
    assert "given" not in page.query_params
    assert [path.name for path in (home / "logos").iterdir()] == ["brands"]
