"""A config model's fields -> widgets -> plain data. Label, range, unit and help come from the model.

The widgets themselves limit nothing: what they return is checked by the model, so that the page says exactly what
the command line says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Literal, get_args, get_origin

import pandas as pd
import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from core.config.config import CATEGORIES, RunConfig, StageConfig
from core.config.fields import is_basic, range_text, unit, walk_fields
from core.config.fields import kind as kind_of
from pages.views.text import plain

Data = dict[str, Any]


def get_setting(data: Data, name: str) -> Any:
    """The value at a dotted name."""
    value: Any = data
    for part in name.split("."):
        value = value[part]
    return value


def put_setting(data: Data, name: str, value: Any) -> None:
    *parents, last = name.split(".")
    target = data
    for part in parents:
        target = target[part]
    target[last] = value


LABELS = {
    "logos.path": "Logos",
    "logos.n_per_category": "Built-in logos per category",
    "reward.quality": "Weight of quality",
    "reward.size": "Weight of size",
    "reward.speed": "Weight of speed",
    "env.max_steps": "Conversions per episode",
    "n_envs": "Environments",
    "n_workers": "Workers (0 = all cores)",
    "ppo.n_steps": "Rollout steps per environment",
    "ppo.n_epochs": "Epochs",
    "ppo.ent_coef": "Entropy coefficient",
    "ppo.vf_coef": "Value coefficient",
    "ppo.gae_lambda": "GAE lambda",
    "ppo.target_kl": "Target KL",
    "ppo.lr_end": "Final learning rate",
    "ppo.lr_schedule": "Learning rate schedule",
    "ppo.net_arch_pi": "Policy layers",
    "ppo.net_arch_vf": "Value layers",
    "ppo.heads": "Action distribution",
    "env.fixed": "Fixed parameters",
    "ppo.group_size": "Environments per logo",
    "ppo.log_std_init": "Initial log std",
    "evaluation.every_steps": "Evaluate every (steps)",
    "evaluation.max_logos": "Logos per evaluation",
    "evaluation.keep_svgs": "Keep the SVGs",
    "checkpoint.every_steps": "Checkpoint every (steps)",
    "checkpoint.keep": "Periodic checkpoints kept",
    "early_stop.enabled": "Stop early",
    "early_stop.patience": "Patience (evaluations)",
    "curriculum.enabled": "Use the curriculum",
    "curriculum.window": "Window (episodes)",
    "curriculum.min_episodes": "Minimum per stage (episodes)",
    "curriculum.earlier_share": "Share from earlier stages",
    "curriculum.probe": "Skip stages already mastered",
    "curriculum.ends_run": "End with the last stage",
    "curriculum.max_extensions": "Extensions per stage",
    "curriculum.on_failure": "At the episode limit",
    "curriculum.max_setbacks": "Setbacks per run",
    "checkpoint.keep_every": "Also keep every n-th checkpoint",
    "checkpoint.disk_budget_mb": "Disk budget (MB)",
    "recovery.enabled": "Restart automatically",
    "recovery.max_restarts": "Consecutive restarts",
    "recovery.backoff_s": "First delay (s)",
    "recovery.stalled_s": "Stalled after (s)",
    "health.on_instability": "On a severe finding",
    "health.adjust_entropy": "Adjust entropy",
    "health.stop_on_plateau": "End on a plateau",
    "health.adjust_stages": "Adjust stages",
    "health.max_actions": "Maximum actions",
    "health.ignore": "Rules to ignore",
    "workers.run_memory_mb": "Memory per run (MB)",
    "queue.cores": "Workers over all runs (0 = all cores)",
    "queue.reserve_mb": "Memory to keep free (MB)",
    "notify.at_least": "Lowest severity to send",
    "notify.milestones": "Send milestones",
    "notify.summaries": "Summaries",
    "notify.pause_minutes": "Minimum time between repeat alerts (minutes)",
    "reports.at_end": "When a run or a study ends",
    "reports.at_stages": "When a stage ends",
    "reports.summaries": "Summaries of all runs",
    "reports.keep": "Maximum number kept",
    "logos.variants": "Variants per logo",
    "logos.add_builtin": "Additional built-in logos",
    "workers.time_limit_s": "Time per conversion (s)",
    "workers.memory_limit_mb": "Memory per worker (MB)",
    "workers.max_losses": "Quarantine a logo after (lost workers)",
    "trackers.tensorboard": "TensorBoard",
    "trackers.wandb": "Weights & Biases",
    "trackers.mlflow": "MLflow",
    "trackers.project": "Project or experiment",
    "outcome.members": "Outcome model: networks",
    "outcome.units": "Outcome model: units",
    "outcome.epochs": "Outcome model: epochs",
}


def label_of(name: str) -> str:
    """The label of a setting's widget."""
    if name in LABELS:
        return LABELS[name]
    text = name.rsplit(".", 1)[-1].replace("_", " ")
    return text[:1].upper() + text[1:]


def with_labels(text: str) -> str:
    """A message of the model, for people: each setting by its label rather than its key, what a file says as it stands."""
    names = sorted((name for name, _ in walk_fields(RunConfig)), key=len, reverse=True)
    found = re.compile("|".join(rf"(?<![\w.]){re.escape(name)}(?![\w.])" for name in names))
    parts = re.split(found, text)
    told = [label_of(match.group()) for match in found.finditer(text)]
    return "".join(plain(part) + (f"*{told[i]}*" if i < len(told) else "") for i, part in enumerate(parts))


def field(name: str, info: FieldInfo, value: Any, version: str, error: str = "", note: str = "") -> Any:
    """Draw one setting and return what is in it; ``error`` and ``note`` stand below it."""
    kind, key = kind_of(info), f"set.{version}.{name}"
    about = info.description or ""
    allowed = range_text(info)
    help_text = f"`{name}` — {about}" + (f" Allowed: {allowed}." if allowed else "")
    label = label_of(name)
    if kind in (int, float) and unit(info) and name not in LABELS and unit(info) not in label.lower():
        label += f" ({unit(info)})"
    common: dict[str, Any] = {"help": help_text, "key": key, "persist_state": "session"}
    if get_origin(kind) is Literal:
        options = list(get_args(kind))
        result: Any = st.selectbox(label, options, index=options.index(value) if value in options else 0, **common)
    elif kind is bool:
        result = st.toggle(label, value=bool(value), **common)
    elif kind is int:
        result = st.number_input(label, value=None if value is None else int(value), step=1, **common)
    elif kind is float:
        result = st.number_input(
            label, value=None if value is None else float(value), format="%g", step=_step(value), placeholder="off", **common
        )
    elif get_origin(kind) is list:
        text = st.text_input(label, value=", ".join(str(v) for v in value), **common)
        result = [part.strip() for part in text.split(",") if part.strip()] if get_args(kind) == (str,) else _int_list(text)
    else:
        result = st.text_input(label, value="" if value is None else str(value), **common)
    if error:
        st.caption(f":red[{with_labels(error)}]")
    elif note:
        st.caption(note)
    return result


def _step(value: Any) -> float:
    """A step of a number's own size: 0.0003 moves by 0.0001."""
    if not value:
        return 0.01
    size = 1.0
    while abs(value) < size and size > 1e-7:
        size /= 10
    return size


def _int_list(text: str) -> Any:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return [int(part) for part in parts]
    except ValueError:
        return text  # the model says what is wrong with it


def fields(
    names: Iterable[str], data: Data, version: str, errors: dict[str, str], n_columns: int = 2, notes: dict[str, str] | None = None
) -> None:
    """Draw settings in columns and put what is in them into ``data``; ``notes``: {setting: what is said below it}."""
    infos = dict(walk_fields(RunConfig))
    columns = st.columns(n_columns)
    for i, name in enumerate(names):
        with columns[i % n_columns]:
            put_setting(
                data, name, field(name, infos[name], get_setting(data, name), version, errors.get(name, ""), (notes or {}).get(name, ""))
            )


def model_fields(model: type[BaseModel], section: str, data: Data, version: str, skip: tuple[str, ...] = ()) -> None:
    """Draw a section of another model than a run's, in one column."""
    for name, info in walk_fields(model):
        if name.startswith(f"{section}.") and name.removeprefix(f"{section}.") not in skip:
            put_setting(data, name, field(name, info, get_setting(data, name), version))


def names_where(keep: Callable[[str, FieldInfo], bool]) -> list[str]:
    return [name for name, info in walk_fields(RunConfig) if keep(name, info)]


def basic_names() -> list[str]:
    """The settings most people change."""
    return names_where(lambda name, info: is_basic(info) and not name.startswith("curriculum."))


def section_names(section: str) -> list[str]:
    """The advanced settings of a section."""
    skipped = {"env.centre", "curriculum.stages", "curriculum.enabled"}
    return names_where(lambda name, info: name.startswith(f"{section}.") and name not in skipped and not is_basic(info))


_STAGE_NUMBERS = ("difficulty", "target_ssim", "required_gain", "max_episodes", "success_threshold", "quality", "size", "max_side")
_STAGE_HELP = {name: info.description or "" for name, info in StageConfig.model_fields.items()}


def stage_editor(stages: list[Data], version: str) -> list[Data]:
    """The curriculum as an editable table; rows can be added, changed and removed."""
    rows = [
        {
            "name": s["name"],
            **{c: c in s["categories"] for c in CATEGORIES},
            **{k: s.get(k) for k in _STAGE_NUMBERS},
            "variants": s.get("variants", True),
        }
        for s in stages
    ]
    frame = pd.DataFrame(rows).astype(dict.fromkeys(("required_gain", "quality", "size", "max_side"), "float64"))
    tick, number = st.column_config.CheckboxColumn, st.column_config.NumberColumn
    config: dict[str, Any] = {  # as wide as what stands above, which an icon goes before
        "name": st.column_config.TextColumn("Stage", help=_STAGE_HELP["name"], required=True, width=150),
        **{c: tick(c.capitalize(), help=f"Draw {c} logos", width=60 + 5 * len(c), default=True) for c in CATEGORIES},
        "difficulty": number("Difficulty", help=_STAGE_HELP["difficulty"], width=110, default=1.0),
        "target_ssim": number("SSIM", help=_STAGE_HELP["target_ssim"], width=80, default=0.9),
        "required_gain": number("Gain", help=_STAGE_HELP["required_gain"], width=80),
        "success_threshold": number("Success", help=_STAGE_HELP["success_threshold"], width=95, default=0.7),
        "max_episodes": number("Episodes", help=_STAGE_HELP["max_episodes"], width=105, default=10_000),
        "quality": number("Quality weight", help=_STAGE_HELP["quality"], width=135),
        "size": number("Size weight", help=_STAGE_HELP["size"], width=115),
        "max_side": number("Longest side", help=_STAGE_HELP["max_side"], width=120),
        "variants": tick("Variants", help=_STAGE_HELP["variants"], width=100, default=True),
    }
    edited = st.data_editor(frame, column_config=config, num_rows="dynamic", hide_index=True, placeholder="–", key=f"stages.{version}")
    return [_stage_data(row) for row in edited.to_dict("records")]


def _stage_data(row: dict[Any, Any]) -> Data:
    def number(key: str) -> Any:
        value = row.get(key)
        if value is None or pd.isna(value):
            return None
        return int(value) if key in ("max_episodes", "max_side") and float(value).is_integer() else float(value)

    name = row.get("name")
    return {
        "name": "" if name is None or pd.isna(name) else str(name),
        "categories": [c for c in CATEGORIES if row.get(c) is True],
        **{k: number(k) for k in _STAGE_NUMBERS},
        "variants": row.get("variants") is not False,
    }
