"""Reports in a browser that has no network."""

import pytest

from core.errors import RunError
from core.reports import pdf
from core.runs.records import write_label
from pages.views.reports import kinds
from pages.views.reports.document import MAX_BYTES, to_html
from storage.store import Store
from tests.support.browsers import keep_picture
from tests.support.html import problems
from tests.support.pages import caught_up
from tests.support.studies import made_up


@pytest.fixture
def file(console, recorded, tmp_path):
    """The report of a run whose name is hostile."""
    run = recorded(name="seed 1", seed=1)
    caught_up(console, run)
    write_label(run, "<script>document.title = 'run'</script>")
    path = tmp_path / "report.html"
    path.write_bytes(to_html(kinds.build("run", kinds.Request(console.store, [run]))))
    return path


def test_a_report_needs_nothing_else_and_runs_nothing(file, browse):
    """Names are text in it, pictures are pictures, whatever they hold; and every curve is drawn, with the network off."""
    assert problems(file.read_text(encoding="utf-8")) == []
    assert file.stat().st_size < MAX_BYTES
    asked: list[str] = []
    said: list[str] = []
    page = browse()
    page.context.set_offline(True)
    page.on("request", lambda r: None if r.url.startswith(("data:", "file:")) else asked.append(r.url))
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.goto(file.as_uri())
    assert page.title() == "<script>document.title = 'run'</script> · Tracewright"
    n_curves = page.locator(".curve").count()
    assert n_curves >= 5
    page.wait_for_function("n => document.querySelectorAll('.chart svg.marks').length === n", arg=n_curves)
    page.evaluate("document.querySelectorAll('img').forEach((i) => { i.loading = 'eager'; })")
    page.wait_for_function("[...document.images].every((i) => i.complete && i.naturalWidth > 0)")
    assert page.evaluate("document.images.length") > 3
    for link in page.locator("nav a").all():
        section = page.locator(link.get_attribute("href"))
        assert section.is_visible()
        assert len(section.inner_text().splitlines()) > 1
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert asked == []
    assert said == []
    keep_picture(page, "report")


def test_a_report_is_printed_as_pdf(file, chromium, tmp_path, monkeypatch):
    out = tmp_path / "report.pdf"
    assert pdf.write_pdf(file, out) == out.stat().st_size > 20_000
    assert out.read_bytes().startswith(b"%PDF")
    monkeypatch.setattr(pdf, "find_browser", lambda: "/bin/false")
    with pytest.raises(RunError, match="did not print"):
        pdf.write_pdf(file, out)


def test_the_charts_of_a_study_are_drawn_with_the_network_off(home, tmp_path, browse):
    study = made_up(home, 30, max_worse_share=0.2)
    path = tmp_path / "study.html"
    with Store(None) as store:
        path.write_bytes(to_html(kinds.build("study", kinds.Request(store, [], study=study))))
    said: list[str] = []
    page = browse()
    page.context.set_offline(True)
    page.on("console", lambda m: said.append(m.text) if m.type == "error" else None)
    page.goto(path.as_uri())
    n_curves = page.locator(".curve").count()
    assert n_curves == 9  # history, evaluations, importance, all settings, four slices, timeline
    page.wait_for_function("n => document.querySelectorAll('.chart svg.marks').length === n", arg=n_curves)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert said == []
    keep_picture(page, "report-of-a-study")
