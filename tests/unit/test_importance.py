"""Which settings mattered: what is found where it is known, and what is not claimed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from core.errors import ConfigError
from core.evaluation.importance import importances, warning


def made_up(n: int = 60, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Gains that depend on the learning rate, a little on a switch, and not on a third setting."""
    rng = np.random.default_rng(seed)
    rate = rng.choice([1e-4, 1e-3, 1e-2], n)
    switch = rng.choice([True, False], n)
    other = rng.integers(1, 4, n)
    gains = 0.5 * np.log10(rate) + 0.2 * switch + rng.normal(0, 0.05, n)
    table = pd.DataFrame({"ppo.learning_rate": rate, "pipeline.fills": switch, "ppo.n_epochs": other}).astype(object)
    return table.assign(same=3), gains


def test_what_decides_is_first_and_what_does_nothing_is_told_from_it():
    found = importances(*made_up())
    assert [row.setting for row in found][:2] == ["ppo.learning_rate", "pipeline.fills"]
    by_name = {row.setting: row for row in found}
    assert set(by_name) == {"ppo.learning_rate", "pipeline.fills", "ppo.n_epochs"}  # what never differs is no row
    assert by_name["ppo.learning_rate"].explained > 0.8
    assert by_name["ppo.learning_rate"].p_value < 0.01
    assert by_name["ppo.learning_rate"].best == "0.01"
    assert by_name["pipeline.fills"].best == "true"
    assert by_name["ppo.n_epochs"].explained < 0.1
    assert by_name["ppo.n_epochs"].p_value > 0.05
    assert sum(row.ped_anova for row in found) == pytest.approx(1.0)
    assert max(found, key=lambda row: row.ped_anova).setting == "ppo.learning_rate"


def test_omega_squared_is_that_worked_out_by_hand():
    """Levels with gains 1, 3 and 5, 7: 16 between them, 4 within, 20 in all; (16 - 2) / (20 + 2)."""
    table = pd.DataFrame({"a": [1, 1, 2, 2]}, dtype=object)
    (row,) = importances(table, np.array([1.0, 3.0, 5.0, 7.0]))
    assert row.explained == pytest.approx(14 / 22)
    assert row.p_value == pytest.approx(1 / 3, abs=0.05)  # 2 of the 6 ways to deal four gains out are as far apart
    assert (row.best, row.best_gain, row.n_best, row.n_values) == ("2", 6.0, 2, 2)


def test_settings_that_changed_together_are_one_row():
    table, gains = made_up()
    table["ppo.lr_end"] = [0.1 * rate for rate in table["ppo.learning_rate"]]
    found = importances(table, gains)
    assert found[0].name == "ppo.learning_rate + ppo.lr_end"


def test_many_values_of_a_number_are_looked_at_in_quarters():
    rng = np.random.default_rng(3)
    rate = 10 ** rng.uniform(-5, -1, 80)
    (row,) = importances(pd.DataFrame({"rate": rate}).astype(object), -np.abs(np.log10(rate) + 2) + rng.normal(0, 0.1, 80))
    assert row.n_values == 80
    assert row.n_best == 20
    assert " to " in row.best
    assert row.explained > 0.5


def test_a_setting_of_which_every_run_has_its_own_value_explains_nothing():
    table = pd.DataFrame({"path": ["a", "b", "c", "d"]}, dtype=object)
    (row,) = importances(table, np.array([1.0, 2.0, 3.0, 4.0]))
    assert row.explained is None
    assert row.p_value == 1.0


def test_equal_gains_have_no_cause():
    table, gains = made_up(12)
    assert all(row.explained == 0.0 and row.p_value == 1.0 for row in importances(table, np.full_like(gains, 0.3)))


def test_lists_and_nothing_are_values_too():
    table = pd.DataFrame({"net": [[64], [64], [128, 128], None] * 3}, dtype=object)
    (row,) = importances(table, np.array([0.1, 0.2, 0.9, 0.3] * 3))
    assert row.best == "[128, 128]"


def test_too_few_runs_are_refused_and_few_are_warned_of():
    table, gains = made_up()
    with pytest.raises(ConfigError, match="3 comparable runs; importance needs at least 4"):
        importances(table[:3], gains[:3])
    with pytest.raises(ConfigError, match="differ only in their seeds"):
        importances(table[["same"]], gains)
    assert "Based on 12 runs for 3 settings" in warning(12, 3)
    assert warning(30, 3) == ""
