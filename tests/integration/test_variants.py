"""A run that learns from variants of logos."""

from core.logos.dataset import load_logos
from core.runs.events import read_events


def test_a_run_learns_from_variants_and_built_in_logos_and_is_evaluated_on_neither(recorded, logo_folder):
    run = recorded(logos={"variants": 2, "add_builtin": 4})
    events = list(read_events(run.events_file))
    names = {e.data.logo for e in events if e.kind == "episode"}
    own = {logo.name for logo in load_logos(str(logo_folder), 48).logos}
    assert any(" (variant" in name for name in names)
    assert {name.split(" (variant")[0] for name in names} - own, "no built-in logo was drawn"
    assert {e.data.logo for e in events if e.kind == "evaluated"} <= own
