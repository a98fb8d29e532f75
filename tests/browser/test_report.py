"""A report in a browser."""

from core.runs.records import write_label
from pages.views import report
from tests.support.pages import caught_up


def test_a_report_needs_nothing_else_and_runs_nothing(console, recorded, browse, tmp_path):
    """Names are text in it, and pictures are pictures, whatever they hold."""
    run = recorded(name="seed 1", seed=1)
    caught_up(console, run)
    write_label(run, "<script>document.title = 'run'</script>")
    file = tmp_path / "report.html"
    file.write_bytes(report.render(console.store, run))
    asked: list[str] = []
    page = browse()
    page.on("request", lambda r: None if r.url.startswith(("data:", "file:")) else asked.append(r.url))
    page.goto(file.as_uri())
    assert page.title() == "<script>document.title = 'run'</script> · Tracewright"
    shown = page.evaluate("[...document.images].map((i) => i.naturalWidth)")
    assert len(shown) > 3
    assert all(shown)
    assert not asked
