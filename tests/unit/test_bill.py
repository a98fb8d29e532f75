"""What Tracewright is made of: licences that are refused, and the bill of materials."""

import json

import pytest

from core import bill
from tests.support.paths import ROOT


@pytest.mark.parametrize(
    ("licence", "wanted"),
    [
        ("MIT", "allowed"), ("BSD-3-Clause AND MIT", "allowed"), ("MPL-2.0", "allowed"), ("GPL-3.0-or-later", "refused"),
        ("GNU General Public License v2 (GPLv2)", "refused"), ("AGPL-3.0", "refused"), ("GNU Affero General Public License v3", "refused"),
        ("MIT OR GPL-2.0", "allowed"), ("MIT AND GPL-2.0", "refused"), ("LGPL-2.1", "refused"), ("unknown", "refused"), ("", "refused"),
        ("Other/Proprietary License", "refused"),
    ],
)  # fmt: skip
def test_a_licence_that_binds_or_is_unknown_is_refused(licence, wanted):
    assert bill.verdict("anything", licence) == wanted


def test_one_package_is_lgpl_and_says_why():
    assert bill.verdict("thorvg-python", "GNU LESSER GENERAL PUBLIC LICENSE") == "noted"
    noted = [part for part in bill.parts() if part.verdict == "noted"]
    assert [part.name for part in noted] == ["thorvg-python"]
    assert "loaded at run time" in noted[0].note


def test_every_package_that_is_locked_is_listed_and_none_is_refused():
    parts = {part.name: part for part in bill.parts()}
    locked = {
        line.partition("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines() if "==" in line and line[0].isalnum()
    }
    assert not locked - set(parts)
    assert not [part.name for part in parts.values() if part.verdict == "refused"]
    assert {"streamlit", "torch", "starlette", "uvicorn", "numpy"} <= set(parts)
    assert not {"pytest", "ruff", "mypy", "bandit"} & set(parts)


def test_the_bill_of_materials_is_cyclonedx_and_the_same_each_time():
    found = bill.cyclonedx(bill.parts())
    assert found == bill.cyclonedx(bill.parts())
    data = json.loads(found)
    assert (data["bomFormat"], data["specVersion"]) == ("CycloneDX", "1.6")
    refs = [component["bom-ref"] for component in data["components"]]
    assert len(refs) == len(set(refs)) == len(data["dependencies"][0]["dependsOn"])
    assert all(component["purl"].startswith("pkg:pypi/") and component["licenses"] for component in data["components"])
