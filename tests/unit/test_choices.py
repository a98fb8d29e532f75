"""What people prefer: kept, read back whatever happened to the file, and shown as a share with its interval."""

import json
from dataclasses import replace

import pytest

from core.cli.app import app
from core.evaluation import choices
from core.evaluation.choices import Choice

ONE = Choice(1.5, "run/r", "acme", "d1", "simple", "r", "defaults", "a", "a", 2.0)


def kept(home, *rows: Choice) -> list[Choice]:
    for row in rows:
        choices.keep(home, row)
    return list(choices.read(home).rows)


def test_a_choice_reads_back_as_it_was_kept_also_with_names_like_formulas(tmp_path):
    odd = replace(ONE, logo="=HYPERLINK(1)", category="", source='run/"x",\ny', left="b", answer="equal")
    assert kept(tmp_path, ONE, odd) == [ONE, odd]
    assert "\n=" not in (tmp_path / choices.FILE).read_text()
    assert ",=" not in (tmp_path / choices.FILE).read_text()


def test_the_last_answer_can_be_taken_back(tmp_path):
    two = replace(ONE, digest="d2")
    kept(tmp_path, ONE, two)
    choices.take_back(tmp_path, two)
    assert choices.read(tmp_path).rows == (ONE,)
    choices.take_back(tmp_path, ONE)
    assert choices.read(tmp_path).rows == ()
    assert not (tmp_path / choices.FILE).exists()


@pytest.mark.parametrize(
    "damage", [b"\x00\xff\xfe", b"1,2\r\n", b"9,run/r,x,d,simple,r,defaults,a,better,1\r\n", b'"', b"ts,ts\r\n1,2\r\n"]
)
def test_damaged_rows_are_counted_and_the_others_are_read(tmp_path, damage):
    kept(tmp_path, ONE)
    with (tmp_path / choices.FILE).open("ab") as file:
        file.write(damage)
    found = choices.read(tmp_path)
    assert found.problem or found.n_bad >= 1
    assert found.problem or found.rows == (ONE,)
    before = (tmp_path / choices.FILE).read_bytes()
    choices.take_back(tmp_path, ONE)
    assert (tmp_path / choices.FILE).read_bytes() == before  # what can't be read is not lost


def test_two_methods_are_the_same_pair_whichever_was_asked_for_first(tmp_path):
    turned = replace(ONE, digest="d2", a="defaults", b="r", left="b", answer="b")
    again = replace(ONE, answer="b", ts=3.0)
    found = choices.between([ONE, turned, replace(ONE, source="run/other", digest="d9"), again], "r", "defaults", "run/r")
    assert [(row.digest, row.a, row.left, row.answer) for row in found] == [("d1", "r", "a", "b"), ("d2", "r", "a", "a")]
    assert choices.between([ONE], "r", "single") == []


def test_the_share_is_of_the_decided_with_wilsons_interval():
    rows = [replace(ONE, digest=str(n), answer="a" if n < 8 else "b" if n < 10 else "equal") for n in range(15)]
    rows.append(replace(ONE, digest="t", category="text", answer="equal"))
    total, simple, text = choices.tallies(rows)
    assert (total.n_a, total.n_b, total.n_equal) == (8, 2, 6)
    assert (total.share, simple.share) == (0.8, 0.8)
    assert total.low == pytest.approx(0.4902, abs=1e-4)  # Wilson 1927, 8 of 10
    assert total.high == pytest.approx(0.9433, abs=1e-4)
    assert (text.name, text.share, text.low) == ("text", None, None)
    assert choices.tallies([])[0].share is None


def test_the_command_tells_each_pair_of_methods_by_category(home, capsys):
    two, other = replace(ONE, digest="d2", category="text", answer="b"), replace(ONE, b="single", source="batch/x", answer="equal")
    kept(home, ONE, two, other)
    app(["choices", "--json"], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)
    assert [(pair["a"], pair["b"]) for pair in found["pairs"]] == [("defaults", "r"), ("r", "single")]
    shares = {tally["name"]: tally["share"] for tally in found["pairs"][0]["tallies"]}
    assert shares == {"all": 0.5, "simple": 0.0, "text": 1.0}
    app(["choices", "--source", "batch/x"], standalone_mode=False)
    told = capsys.readouterr().out
    assert "r against single" in told
    assert "undecided" in told
    assert "defaults" not in told
    (home / choices.FILE).write_bytes(b"\xff\xfe\x00")
    assert app(["choices"], standalone_mode=False) == 2
    assert choices.FILE in capsys.readouterr().err
