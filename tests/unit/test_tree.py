"""The parser of the tree of modules, on a small one."""

from __future__ import annotations

import pytest

from tests.support.tree import block_of, differences, listed, named_paths

TREE = """\
app.py            two roles, and more
core/             the domain: one, two (the other, later)
  room/           what it is for
    deep.py       a module
  alone.py        a module, of its own
docs/*.md         what there is to read
"""


@pytest.fixture
def root(tmp_path):
    for name in ("app.py", "core/one.py", "core/two.py", "core/__init__.py", "core/room/deep.py", "core/alone.py", "docs/tour.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_lines_and_lists_name_paths():
    assert named_paths(TREE) == {
        "app.py", "core/", "core/one.py", "core/two.py", "core/room/", "core/room/deep.py", "core/alone.py", "docs/*.md",
    }  # fmt: skip


def test_prose_lists_nothing():
    assert listed("reads, writes and removes") == []
    assert listed("the domain") == []
    assert listed("pictures") == []
    assert listed("for whom: one") == ["one"]


def test_a_tree_that_is_right_has_no_differences(root):
    assert differences(TREE, root, ["core"]) == ([], [])


def test_a_module_that_is_not_named_exactly_is_missing(root):
    (root / "core" / "lone.py").touch()  # a part of a name that is there
    assert differences(TREE, root, ["core"]) == (["core/lone.py"], [])
    (root / "core/room/one.py").touch()  # named, but elsewhere
    assert differences(TREE, root, ["core"])[0] == ["core/lone.py", "core/room/one.py"]


def test_a_name_that_does_not_exist_is_told(root):
    for name in ("core/one.py", "core/alone.py", "docs/tour.md"):
        (root / name).unlink()
    assert differences(TREE, root, ["core"]) == ([], ["core/alone.py", "core/one.py", "docs/*.md"])


@pytest.mark.parametrize("line", ["   odd.py  three spaces", "      deep.py  no folder above", "what, is this"])
def test_a_line_that_is_no_part_of_a_tree_is_refused(line):
    with pytest.raises(ValueError, match="not a line of a tree"):
        named_paths(f"core/  the domain\n{line}\n")


def test_the_block_is_that_below_its_heading():
    assert block_of("# A\n```\nno\n```\n## The tree\n\ntext\n\n```text\nyes\n```\n```\nno\n```\n") == "yes\n"
    with pytest.raises(ValueError, match="no block"):
        block_of("# The tree\n")
