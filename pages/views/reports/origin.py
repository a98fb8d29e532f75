"""Where a run's results come from: its data card, and what it takes to get the same again."""

from __future__ import annotations

import shlex

from core.logos.dataset import BUILTIN
from core.paths import program
from core.runs.event_types import AttemptStarted
from core.runs.records import read_commands
from pages.views.reports import words
from pages.views.reports.blocks import Block, Card, Cards, Code, Item, Items, Section, Table, Text
from pages.views.reports.facts import Facts

MOST_SKIPPED = 20
SPLITS = ("train", "validation", "test")


def data_card(facts: Facts) -> Section:
    """What it was trained and measured on."""
    loaded, config = facts.loaded, facts.config.logos
    if loaded is None:
        return Section("data", "Data card", [Text("Its log does not record yet which logos were read.", "soft")])
    where = "the built-in procedural logos" if loaded.path == BUILTIN else loaded.path
    cards = Cards(
        (
            Card("logos", f"{loaded.n_logos:,}", f"from {where}"),
            Card("work size", f"{config.work_size} px", f"traced at {facts.config.pipeline.trace_size or config.work_size} px"),
            Card("variants", f"{config.variants}", "additional variants of each training logo"),
            Card("digest", loaded.digest[:12] or "–", "over all pictures; equal digests mean equal data"),
        )
    )
    found = [split for split in SPLITS if any(split in counts for counts in loaded.counts.values())]
    splits = found + sorted({split for counts in loaded.counts.values() for split in counts} - set(SPLITS))
    rows = [(name, *(f"{counts.get(split, 0):,}" for split in splits)) for name, counts in loaded.counts.items()]
    if len(rows) > 1:
        rows.append(("all", *(f"{sum(counts.get(split, 0) for counts in loaded.counts.values()):,}" for split in splits)))
    blocks: list[Block] = [cards]
    if rows:
        blocks.append(Table.of(["category", *splits], rows))
    blocks.append(Text("The agent learns only from the training logos. Gains in this report are measured on the validation logos."))
    if config.add_builtin:
        blocks.append(Text(f"{config.add_builtin} built-in logos per category were added for training."))
    if loaded.skipped:
        blocks.append(Text(f"{words.plural(len(loaded.skipped), 'file')} skipped:"))
        items = [Item(str(skipped.get("source", "?")), str(skipped.get("reason", ""))) for skipped in loaded.skipped[:MOST_SKIPPED]]
        rest = len(loaded.skipped) - len(items)
        blocks.append(Items([*items, *([Item("And", f"{rest} more.")] if rest else [])]))
    return Section("data", "Data card", blocks)


def reproduce(facts: Facts) -> Section:
    """The command, the versions, the data and the seed."""
    started, loaded = facts.started, facts.loaded
    blocks: list[Block] = [Text("Save the settings above as config.yaml, then run:"), Code(commands(facts))]
    rows = [
        ("seed", str(facts.config.seed)),
        ("digest of the logos", loaded.digest if loaded and loaded.digest else "–"),
        ("run", facts.run_id),
    ]
    if started is not None:
        rows += [("Python", started.python or "–"), *sorted(started.versions.items())]
    blocks.append(Table(("what", "value"), [(str(name), str(value)) for name, value in rows]))
    return Section("reproduce", "How to reproduce it", [*blocks, *caveats(facts)])


def commands(facts: Facts) -> str:
    """What to type; the folder stands in quotes where a shell needs it."""
    path = facts.config.logos.path
    methods = ",".join(dict.fromkeys(["default", *(record.method for record in facts.baselines if record.budget == 1), "policy"]))
    return "\n".join(
        [
            f"{program()} train --config config.yaml",
            f"{program()} evaluate --model RUN --images {shlex.quote(path)} --methods {shlex.quote(methods)}",
        ]
    )


def caveats(facts: Facts) -> list[Block]:
    """What may keep a repetition from giving the same figures."""
    found = ["The same seed, settings, logos and versions give the same episodes and gains, with any number of workers."]
    if facts.config.reward.speed > 0:
        found.append("Its reward includes CPU time, which differs between trainings, so figures will be close but not equal.")
    if facts.parent is not None:
        parent = facts.parent
        found.append(
            f"It continues from checkpoint {parent.checkpoint} (step {parent.step:,}) of {parent.run_id}: reproduce that run first, then use runs fork."
        )
    given = read_commands(facts.run)
    if given:
        found.append(f"Its curriculum was controlled by hand: {', '.join(given[:20])}.")
    versions = {tuple(sorted(record.versions.items())) for record in facts.of(AttemptStarted) if record.versions}
    if len(versions) > 1:
        found.append("It was resumed with different package versions; the table shows those of its last attempt.")
    return [Text(text, "soft") for text in found]
