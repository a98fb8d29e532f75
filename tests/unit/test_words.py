"""No private word is left in a text: neither in one that a user reads, nor in a docstring or a comment."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTEAD = {
    "pulse": "heartbeat", "keeper": "checkpoint manager", "examiner": "evaluator", "supply": "data loader", "treatment": "interventions",
    "race": "parallel search", "course": "trajectory", "maker": "factory", "put_aside": "quarantine", "put aside": "quarantine",
    "obey": "apply", "obeys": "apply", "obeyed": "apply", "scene": "run view", "mounts": "components", "trade_off": "Pareto",
    "whatif": "replay", "what-if": "replay", "anatomy": "SVG stats", "duel": "paired comparison", "ticket": "queue entry",
    "board": "scheduler state", "letter": "outbox message", "unread_since": "last_read_ts", "room": "disk space, or folder",
    "rather": "instead; Prioritise", "lay over": "overlay", "laid over": "overlaid", "mend": "fix", "mends": "fixes", "mended": "fixed",
    "anew": "again", "take home": "download, or export", "taken home": "downloaded, or exported",
}  # fmt: skip
PER = re.compile(
    r"\b(conversions|logos|rows?|steps|bytes|MB|episodes|trials|evaluations|line|light) an? (?!search\b)(\w+)\b"
)  # "the conversions a search makes" is another thing
ALLOWED = (  # (word, part of the text, why)
    ("rather", "rather than", "plain English"),
    ("treatment", "treatment", "a key of checkpoints that are on disks already"),
    ("put_aside", "put_aside", "a field of the first version's events, which are still read"),
    ("ticket", "ticket.json", "the file of a queue entry in runs that are on disks already"),
    ("duel", "duel.csv", "a file name that a test makes up"),
    ("whatif", "whatif", "a command of the command line"),
    ("mounts", "Mounts the components", "the verb: what the module does"),
    ("mounts", "module that mounts it", "the verb"),
    ("mounts", "may not be mounted", "a file system"),
    ("letter", "the first a letter", "of the alphabet"),
    ("letter", "with a letter", "of the alphabet"),
    ("letter", "letter box", "the bars beside a picture of another shape"),
    ("laid over", "laid over", "a picture with alpha on a ground"),
    ("room", "little room", "of a chart"),
    ("room", "no room for its name", "of a chart"),
    ("room", "``room``", "the width that a text has"),
    ("room", "with room()", "the function that keeps a place in a page"),
    ("room", "room to open", "a database on a full disk"),
    ("room", "or there is no room", "on a disk"),
    ("room", "needs no room", "on a disk"),
    ("room", "is no room, or", "on a disk"),
    ("room", "room/", "the folders of a made-up tree"),
    ("room", "core/room", "the folders of a made-up tree"),
)  # fmt: skip
WORDS = re.compile(r"(?<![\w-])(" + "|".join(sorted(map(re.escape, INSTEAD), key=len, reverse=True)) + r")(?![\w-])", re.IGNORECASE)


def texts(source: str) -> Iterator[tuple[int, str]]:
    """(line, text) of every string, docstring and comment."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, " ".join(node.value.split())
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def private_words(source: str) -> list[str]:
    """A line per private word in the texts of a module."""
    found = []
    for line, text in texts(source):
        for match in WORDS.finditer(text):
            word = match.group().lower()
            if not any(word == allowed and part in text for allowed, part, _ in ALLOWED):
                found.append(f"{line}: {word!r} (say {INSTEAD[word]}) in {text[:80]!r}")
        found += [f"{line}: {match.group()!r} (say 'per') in {text[:80]!r}" for match in PER.finditer(text)]
    return found


@pytest.mark.parametrize("folder", ["core", "pages", "storage", "tests"])
def test_no_private_word_is_left_in_a_text(folder: str) -> None:
    lists = {Path(__file__).name, "test_document_links.py"}  # of such words
    files = [file for file in sorted((ROOT / folder).rglob("*.py")) if file.name not in lists]
    assert files
    found = [f"{file.relative_to(ROOT)}:{said}" for file in files for said in private_words(file.read_text(encoding="utf-8"))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ('st.error("The Board is full")', "board"),
        ("def f():\n    '''Its keeper.'''", "keeper"),
        ("x = 1  # kept by the examiner", "examiner"),
        ('f"{n} conversions a picture"', "per"),
        ('"ticket.json"', ""),
        ('"onboard letters, keeper_of"', ""),
    ],
)
def test_a_private_word_is_found_in_strings_docstrings_and_comments(source: str, word: str) -> None:
    found = private_words(source)
    assert (not found) if not word else len(found) == 1 and word in found[0]
