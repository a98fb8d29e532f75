"""Whatever a run, a logo or a set is called, a file that a page gives away has a name that only names it."""

import ast
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.names import MAX_BYTES, download_name
from pages.views.reports.blocks import Code, Document, Section
from pages.views.reports.document import to_html
from tests.support import hostile
from tests.support.paths import ROOT
from tests.support.sources import tree_of

PAGES = [path for path in sorted((ROOT / "pages").rglob("*.py")) if path.name != "downloads.py"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("quick-report.html", "quick-report.html"),
        ("Łódź 2-agent.svg", "Łódź 2-agent.svg"),
        ("brand/logo.svg", "brand-logo.svg"),
        ("../../etc/passwd", "etc-passwd"),
        ("/etc/passwd.csv", "etc-passwd.csv"),
        ("C:\\Windows\\a.png", "C_-Windows-a.png"),
        (".bashrc", "bashrc"),
        ("-rf.csv", "rf.csv"),
        ("CON.svg", "_CON.svg"),
        ('a"; filename="b.exe', "a_ filename_b.exe"),
        ("line\r\nX-Header: 1.csv", "line_X-Header_ 1.csv"),
        ("turn\u202egnp.exe.svg", "turn_gnp.exe.svg"),
        ("...", "download"),
        ("", "download"),
        ("x" * 300 + ".parquet", "x" * MAX_BYTES + ".parquet"),
        ("<img src=x onerror=alert(1)>.zip", "_img src_x onerror_alert(1)_.zip"),
    ],
)
def test_a_download_is_called(name, expected):
    assert download_name(name) == expected


@given(st.text(st.characters(), max_size=300), st.sampled_from([".svg", ".csv", ".parquet", ".webm", ""]))
def test_any_name_is_one_that_hides_nothing_and_keeps_its_ending(text, ending):
    name = download_name(f"{text}-agent{ending}")
    assert 0 < len(name.encode()) <= MAX_BYTES + 12
    assert name.endswith(ending)
    assert name[0] not in ".- "
    assert not set(name) & set("/\\:*?\"<>|;'%\0\r\n")
    assert not [sign for sign in name if unicodedata.category(sign)[0] == "C"]
    assert download_name(name) == name


def test_every_download_of_a_page_is_named_there():
    """Streamlit's button stands in pages/views/downloads.py alone, and no route names a file by itself."""
    for path in PAGES:
        called = {node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
        assert "download_button" not in called, path
        assert "content-disposition" not in path.read_text(encoding="utf-8").lower(), path
    named = [line for path in sorted((ROOT / "pages").rglob("*.js")) for line in path.read_text().splitlines() if ".download =" in line]
    assert len(named) == 1
    assert "down.download = item.file" in named[0]  # which the contact sheet names


@pytest.mark.parametrize("name", [*hostile.NAMES, *hostile.IN_ZIPS])
def test_a_file_within_a_report(name):
    page = to_html(Document("run", "A", "", "", (), [Section("s", "S", [Code("text", "Text", name)])])).decode()
    assert f'<a download="{download_name(name)}"' in page.replace("&#39;", "'")
