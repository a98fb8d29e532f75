"""The form of a new study: how it searches, and the space as a table; or all of it as YAML. Labels, ranges and help come from its model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
import yaml

from core.config.config import RunConfig
from core.config.text import load_config, parse_yaml, presets
from core.errors import ConfigError
from core.paths import PROJECT, program
from core.studies.samplers import trial_config
from core.studies.space import USUAL, Dimension, searchable, usual_dimension
from core.studies.study import StudyConfig, base_config, study_yaml, validate_study
from pages.views import forms
from pages.views.study_view import TITLES
from pages.views.text import plain

SAMPLERS = {"tpe": "TPE", "random": "random", "cmaes": "CMA-ES", "gp": "Gaussian process"}
PRUNERS = {"median": "median", "hyperband": "Hyperband", "none": "none"}
INFO = StudyConfig.model_fields
FIRST_TIMESTEPS = 8192


def _help(name: str) -> str:
    return f"`{name}` — {INFO[name].description}"


def _base(home: Path) -> tuple[str, RunConfig | None]:
    """The preset that trials change, and its config."""
    names = list(presets())
    name = str(st.selectbox("Base settings", names, index=names.index("recommended") if "recommended" in names else 0, key="study.config"))
    try:
        return name, load_config(presets()[name])
    except ConfigError as error:
        st.error(plain(f"The preset {name} can't be used: {str(error).splitlines()[0]}"))
        return name, None


def draw(home: Path) -> tuple[StudyConfig, RunConfig] | None:
    """Draw the form; returns what it says, None where that is not possible, with the reason shown."""
    st.text_input("Name", "search", key="study.name", max_chars=60)
    name, base = _base(home)
    if base is None:
        return None
    data = _how(base)
    space = _space(base)
    as_yaml = st.toggle("As YAML", key="study.yaml", help=f"Edit the study as text, for `{program()} search --config FILE`.")
    try:
        if as_yaml:
            return _from_text(data | {"space": space}, name, base, home)
        config = validate_study(data | {"space": space}, base)
    except ConfigError as error:
        st.error("Not ready to start:\n\n" + "\n".join(f"- {plain(line)}" for line in str(error).splitlines()))
        return None
    return config, base


def _how(base: RunConfig) -> dict[str, Any]:
    """How it searches: the study's settings but for the space."""
    data: dict[str, Any] = {"name": str(st.session_state.get("study.name", "")).strip()}
    with st.grid(3, min_column_width=200, vertical_alignment="bottom"):
        data["n_trials"] = st.number_input("Trials", value=20, step=1, key="study.n_trials", help=_help("n_trials"))
        data["hours"] = st.number_input("Time limit (hours)", value=None, placeholder="no limit", key="study.hours", help=_help("hours"))
        steps = min(FIRST_TIMESTEPS, base.total_timesteps)
        data["timesteps"] = st.number_input(
            "Steps per trial", value=steps, step=1024, key=f"study.timesteps.{base.name}", help=_help("timesteps")
        )
        data["sampler"] = st.selectbox(
            "Sampler", list(SAMPLERS), format_func=lambda s: SAMPLERS[s], key="study.sampler", help=_help("sampler")
        )
        data["pruner"] = st.selectbox("Pruning", list(PRUNERS), format_func=lambda p: PRUNERS[p], key="study.pruner", help=_help("pruner"))
        data["max_worse_share"] = st.number_input(
            "Maximum share that looks worse",
            value=None,
            step=0.05,
            placeholder="no constraint",
            key="study.worse",
            help=_help("max_worse_share"),
        )
    data["objectives"] = st.multiselect(
        "Objectives", list(TITLES), default=["gain"], format_func=lambda o: TITLES[o], key="study.objectives", help=_help("objectives")
    )
    with st.expander("Advanced", icon=":material/settings:"), st.grid(3, min_column_width=200, vertical_alignment="bottom"):
        for name in ("evaluations", "parallel", "seed", "startup_trials", "warmup_share", "reduction_factor", "try_base"):
            data[name] = forms.field(name, INFO[name], INFO[name].get_default(), "study")
    return data


def _space(base: RunConfig) -> dict[str, Any]:
    """The space as a table: a row per setting, with its range or its choices; rows can be added, changed and removed."""
    st.markdown("**Search space**", help="One row per setting. A row without values uses the setting's default range.")
    names = searchable(base)
    rows = [{"setting": name} | _row(usual_dimension(name, base)) for name in USUAL]
    frame = pd.DataFrame(rows, columns=["setting", "low", "high", "log", "choices"]).astype({"low": "float64", "high": "float64"})
    column = st.column_config
    edited = st.data_editor(
        frame,
        key=f"study.space.{base.name}",
        num_rows="dynamic",
        hide_index=True,
        placeholder="–",
        column_config={
            "setting": column.SelectboxColumn("Setting", options=names, required=True, width=230),
            "low": column.NumberColumn("From", format="%g", width=85),
            "high": column.NumberColumn("To", format="%g", width=85),
            "log": column.CheckboxColumn("Log scale", default=False, width=135, help="Sample uniformly on a logarithmic scale."),
            "choices": column.TextColumn("Choices", width=220, help="Separate with commas; put lists in brackets: [64, 64], [128, 128]."),
        },
    )
    found: dict[str, Any] = {}
    for row in edited.to_dict("records"):
        if row.get("setting") and not pd.isna(row["setting"]):
            found[str(row["setting"])] = _given(row)
    return found


def _row(dimension: Dimension) -> dict[str, Any]:
    choices = None if dimension.choices is None else json.dumps(dimension.choices)[1:-1]
    return {"low": dimension.low, "high": dimension.high, "log": dimension.log, "choices": choices}


def _given(row: dict[Any, Any]) -> dict[str, Any] | None:
    """What a row says; None where it leaves the range to the setting."""
    text = "" if row.get("choices") is None or pd.isna(row["choices"]) else str(row["choices"]).strip()
    if text:
        try:
            return {"choices": yaml.safe_load(f"[{text}]")}
        except (yaml.YAMLError, ValueError, OverflowError, RecursionError):  # 2024-13-45 is no date
            return {"choices": [part.strip() for part in text.split(",")]}
    numbers = {key: float(row[key]) for key in ("low", "high") if row.get(key) is not None and not pd.isna(row[key])}
    return numbers | {"log": row.get("log") is True} if numbers else None


def _from_text(data: dict[str, Any], name: str, base: RunConfig, home: Path) -> tuple[StudyConfig, RunConfig]:
    """The study as it stands in the text, which begins as what the form says; raises ConfigError where that is not possible."""
    try:
        first = f"config: {name}\n{study_yaml(validate_study(data, base))}"
    except ConfigError:
        first = f"config: {name}\n{study_yaml(validate_study({'name': data['name']}, base))}"
    found = parse_yaml(st.text_area("The study", first, height=460, key=f"study.text.{name}"), "the text")
    source, changes = found.pop("config", name), found.pop("set", None) or {}
    if not isinstance(source, str) or not isinstance(changes, dict):
        raise ConfigError("config is a preset, a file or a run; set is a mapping of settings")
    settings = [f"{key}={json.dumps(value)}" for key, value in changes.items()]
    base = base_config(source, PROJECT, home, settings)
    return validate_study(found, base), base


def steps_of(config: StudyConfig, base: RunConfig) -> int:
    """Steps of all trials together, none pruned."""
    return trial_config(config, base).total_timesteps * (config.n_trials or 0)
