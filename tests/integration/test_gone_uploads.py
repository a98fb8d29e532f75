"""Uploads that a browser still tells of and the server has no longer: its field was emptied a moment ago, or another server took its place."""

import pytest
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.scriptrunner import RerunData, RerunException, get_script_run_ctx
from streamlit.runtime.state import SessionState
from streamlit.runtime.state.query_params_proxy import QueryParamsProxy

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
    elif name != "runs":
        assert "Choose them again." in " ".join(t.value for t in page.toast)
        assert page.file_uploader(key=f"{key[:-1]}1").value in (None, [])


@pytest.mark.parametrize(
    ("name", "key", "address"),
    [
        ("optimize", "files.0", {}),
        ("logos", "set.files.0", {"tab": "Make a set"}),
        ("workbench", "bench.file.0", {"source": "a picture of my own"}),
    ],
)
def test_files_are_taken_where_streamlit_forgot_to_say_that_they_came(name, key, address, visit, home, monkeypatch):
    """As where a new session begins with what the browser still shows: nothing has changed for it, so no callback is called."""
    page = visit(name, **address)
    page.file_uploader(key=key).set_value(("mine.png", png(1, 64), "image/png"))
    with monkeypatch.context() as patched:
        patched.setattr(SessionState, "_call_callbacks", lambda *_, **__: None)
        page.run()
    assert not page.exception
    (waits,) = (home / "uploads").iterdir()
    assert page.query_params["given"] in (waits.name, [waits.name])
    assert page.file_uploader(key=f"{key[:-1]}1").value in (None, [])


def test_files_that_cannot_be_kept_are_not_kept_by_the_field_either(visit, monkeypatch):
    page = visit("optimize")
    monkeypatch.setattr("pages.views.intake.waiting.keep", _full)
    page.file_uploader(key="files.0").set_value(("mine.png", png(1, 64), "image/png")).run()
    assert not page.exception
    assert "Free some disk space" in " ".join(t.value for t in page.toast)
    assert page.file_uploader(key="files.1").value in (None, [])


def _full(*_: object) -> None:
    raise OSError(28, "No space left on device")


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


def test_files_stay_when_something_else_is_done_as_they_come_in(visit, home, monkeypatch):
    """Streamlit ends a callback at its first message to the browser, where another request waits; that one's run knows the files too."""
    page = visit("logos", tab="Make a set")
    real, was_ended = QueryParamsProxy.update, []

    def ended(self: QueryParamsProxy, values: dict[str, list[str]]) -> None:
        if "given" in values and not was_ended:
            was_ended.append(values)
            context = get_script_run_ctx()
            assert context is not None
            raise RerunException(RerunData(query_string="tab=Make+a+set", page_script_hash=context.page_script_hash))
        real(self, values)

    monkeypatch.setattr(QueryParamsProxy, "update", ended)
    page.file_uploader(key="set.files.0").set_value(("mine.png", png(1, 64), "image/png")).run()
    page.text_input(key="set.name").set_value("brands").run()
    assert was_ended
    assert not page.exception
    assert not page.button(key="set.add").disabled
    page.button(key="set.add").click().run()
    assert [path.name for path in (home / "logos").iterdir()] == ["brands"]
