"""Set up a run: preset, logos, hyperparameters, curriculum; see what it will do; start it."""

from __future__ import annotations

import copy
import hashlib
import shlex
from pathlib import Path
from typing import Any

import streamlit as st
from pydantic import ValidationError

from core.config.config import RunConfig
from core.config.fields import walk_fields
from core.config.text import load_config, parse_yaml, presets, problems, to_yaml, validate
from core.curriculum import library
from core.errors import ConfigError, LogosError, RunError
from core.logos.dataset import BUILTIN, load_logos
from core.paths import PRESETS, program
from core.runs.folders import check_readable
from core.runs.records import read_config
from core.runs.requirements import basis_of_estimate, estimated_minutes, has_open_end, preflight
from core.runs.run_dir import RunDir, find_run
from core.scheduling import known_cluster, queue
from core.tracing.params import DEFAULTS
from pages.views import actions, controls, downloads, forms, kept_form, tables
from pages.views.access import may
from pages.views.buttons import button
from pages.views.intake import here
from pages.views.links import write_address
from pages.views.shell import begin
from pages.views.text import duration_text, plain
from storage import queries

console = begin("New run")


def fork_of() -> tuple[RunDir, str, RunConfig, int] | None:
    """The run and checkpoint that the address names as a parent, the settings that a fork of them has and the step that it begins at."""
    wanted = st.query_params.get("fork")
    if not wanted:
        return None
    try:
        parent = find_run(Path(wanted).name, console.home)
        names = parent.checkpoint_names()
        if not names:
            raise RunError(f"{parent.run_id} has no checkpoint to continue from")
        checkpoint = st.query_params.get("from", "best")
        checkpoint = checkpoint if checkpoint in names else names[0]
        config, step = queue.fork_config(parent, checkpoint), queue.checkpoint_step(parent.checkpoints / checkpoint)
    except (RunError, ConfigError) as error:
        st.error(plain(f"{wanted} can't be forked: {error}"))
        return None
    return parent, checkpoint, config, step


forked = fork_of()
start = forked[3] if forked else 0


def source() -> tuple[str, dict[str, Any], str]:
    """(version, settings, a sentence) of what the form starts from: an upload, a cloned run or a preset."""
    dropped = st.session_state.get("upload")
    if dropped is not None and not here([dropped]):
        st.warning("The console was started again, and no longer has the config file. Choose it again.", icon=":material/upload_file:")
    for uploaded in here([dropped]):
        text = uploaded.getvalue()
        digest = hashlib.sha256(text).hexdigest()[:8]
        try:
            config = validate(parse_yaml(text.decode("utf-8", errors="replace"), uploaded.name))
            return f"upload.{digest}", config.model_dump(mode="json"), f"From {plain(uploaded.name)}."
        except ConfigError as error:
            st.error(
                f"{plain(uploaded.name)} can't be used:\n\n" + "\n".join(f"- {forms.with_labels(line)}" for line in str(error).splitlines())
            )
    if forked is not None:
        parent, checkpoint, config, _ = forked
        told = f"A fork of {plain(tables.display_name(parent))}: continues from {controls.checkpoint_name(checkpoint)} with the settings below."
        return f"fork.{parent.run_id}.{checkpoint}", config.model_dump(mode="json"), told
    clone = st.query_params.get("clone")
    if clone:
        try:
            config = read_config(find_run(Path(clone).name, console.home))
            return f"clone.{clone}", config.model_dump(mode="json"), f"A copy of {plain(clone)}. Edit it, or choose a preset."
        except (RunError, ConfigError) as error:
            st.error(plain(f"{clone} can't be cloned: {error}"))
    name = str(st.session_state.get("preset") or "quick")
    path = presets().get(name, next(iter(presets().values())))
    try:
        config = load_config(path)
    except ConfigError as error:
        st.error(plain(f"The preset {name} can't be used: {str(error).splitlines()[0]}"))
        name, path = next(iter(presets().items()))
        config = load_config(path)
    about = " ".join(line[2:] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("# "))
    head = about.split("Version of this format")[0].strip()
    return f"preset.{name}", config.model_dump(mode="json"), head or config.note


def forget_clone() -> None:
    """Choosing a preset leaves the copy of a run."""
    write_address(**dict.fromkeys(("clone", "fork", "from", "curriculum", kept_form.CHANGED), ""))


def logos_of(path: str, n_per_category: int, seed: int) -> tuple[int, dict[str, dict[str, int]], list[tuple[str, str]], str]:
    """:func:`look_at_logos` for whoever uses the page: who may start runs may name any folder, others those that pages may read."""
    try:
        if not may("run.start"):
            check_readable(path, console.home)
    except LogosError as error:
        return 0, {}, [], str(error)
    return look_at_logos(path, n_per_category, seed, not may("run.start"))


@st.cache_data(max_entries=20, max_size="20MB", show_spinner="Checking the logos …", ttl=60)
def look_at_logos(
    path: str, n_per_category: int, seed: int, is_closed: bool = False
) -> tuple[int, dict[str, dict[str, int]], list[tuple[str, str]], str]:
    """(number, counts, left out, problem) of a folder; ``is_closed``: links that lead out of it are left out."""
    try:
        found = load_logos(path, 64, n_per_category=n_per_category, seed=seed, stays_inside=is_closed)
    except LogosError as error:
        return 0, {}, [], str(error)
    return len(found.logos), found.counts(), [(s.source, s.reason) for s in found.skipped], ""


def check(data: dict[str, Any]) -> tuple[RunConfig | None, dict[str, str]]:
    """The config, or what is wrong by setting."""
    try:
        return RunConfig.model_validate(data), {}
    except ValidationError as error:
        found: dict[str, str] = {}
        for name, text in problems(error):
            found.setdefault(name, text)
        return None, found


def centre_choice(data: dict[str, Any], version: str) -> None:
    """What action 0 stands for."""
    best = RunConfig().env.centre
    defaults = {name: float(value) for name, value in DEFAULTS.as_dict().items()}
    options = {"best single setting": best, "VTracer's defaults": defaults, "middle of each range": None}
    current = data["env"]["centre"]
    if current not in options.values():
        options["as in the file"] = current
    names = list(options)
    index = next((i for i, name in enumerate(names) if options[name] == current), 0)
    help_text = "`env.centre` — The parameters that action 0 stands for; a good setting saves most of early training."
    data["env"]["centre"] = options[
        st.selectbox("Action 0 maps to", names, index=index, help=help_text, key=f"set.{version}.centre", persist_state="session")
    ]


def estimate(config: RunConfig) -> str:
    """How long it will take, from this machine's own runs where there are any."""
    measured = queries.usual_rate(console.store)
    about, minutes = "Up to" if has_open_end(config) else "About", duration_text(estimated_minutes(config, measured))
    return f"{about} **{minutes}** for {config.planned_steps(start):,} steps, {basis_of_estimate(config, measured)}."


def begin_with_cluster(version: str, settings: dict[str, Any]) -> None:
    """A preset begins with the cluster that the test on System reached last."""
    if version.startswith("preset.") and settings["workers"]["address"] == known_cluster.JOINED:
        settings["workers"]["address"] = known_cluster.remembered(console.home)


def rounding(data: dict[str, Any]) -> dict[str, str]:
    """{setting: what becomes of it}: steps that are no multiple of a rollout are rounded up."""
    rollout = get_number(data, "ppo.n_steps") * get_number(data, "n_envs")
    total = get_number(data, "total_timesteps")
    if rollout < 1 or total < 1:
        return {}
    n = -(-(max(total - start, 0)) // rollout)
    ends = start + n * rollout
    return {"total_timesteps": f"Rounded up to {ends:,}: {n:,} rollouts of {rollout:,} steps."} if ends != total else {}


def get_number(data: dict[str, Any], name: str) -> int:
    value = forms.get_setting(data, name)
    return value if isinstance(value, int) else 0


def with_curriculum(version: str, settings: dict[str, Any], about: str) -> tuple[str, dict[str, Any], str]:
    """The same with a curriculum that was kept as a file, where the address names one."""
    name = st.query_params.get("curriculum")
    if not name:
        return version, settings, about
    try:
        settings["curriculum"] = library.read(console.home, name).model_dump(mode="json") | {"enabled": True}
    except ConfigError as error:
        st.error(plain(f"The curriculum {name} can't be used: {error}"))
        return version, settings, about
    return f"{version}.curriculum.{name}", settings, f"{about} With the curriculum {name}."


def not_ready(found: dict[str, str]) -> str:
    """Which settings need a change, by their labels; what is wrong with each stands at it, and what is of none of them is said here."""
    at_fields = {name for name, _ in walk_fields(RunConfig)}
    labels = [f"**{forms.label_of(name)}**" for name in found if name in at_fields]
    stages = ["**Curriculum**: its stages"] if any(name.startswith("curriculum.stages.") for name in found) else []
    general = [
        forms.with_labels(text) for name, text in found.items() if name not in at_fields and not name.startswith("curriculum.stages.")
    ]
    lines = [*general, *([f"See {', '.join([*labels, *stages])}."] if labels or stages else [])]
    return "Not ready to start:\n\n" + "\n".join(f"- {line}" for line in lines)


names = list(presets())
halves = st.grid(3, min_column_width=230, gap="large")
left, right = halves.cell(column_span=2), halves.cell()
with left:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.segmented_control(
            "Start from", names, default=names[0], key="preset", bind="query-params", required=True, on_change=forget_clone
        )
        with st.popover("YAML file", icon=":material/upload:"):
            st.file_uploader("A config file", type=["yaml", "yml"], key="upload")
    version, settings, about = with_curriculum(*source())
    unchanged = copy.deepcopy(settings)
    begin_with_cluster(version, settings)
    settings = kept_form.restored(version, settings)
    st.caption(about)
    drafted = st.session_state.get(f"draft.{version}", settings)
    _, errors = check(drafted)
    notes = rounding(drafted)

    forms.fields(forms.basic_names(), settings, version, errors, notes=notes)
    with st.expander("Curriculum", icon=":material/stairs:", expanded=bool(settings["curriculum"]["enabled"])):
        st.caption(
            "Stages run in order. An episode succeeds when it reaches the stage's SSIM and gain; enough successes in the window pass the stage."
        )
        forms.fields(["curriculum.enabled", "curriculum.window", "curriculum.min_episodes"], settings, version, errors, 3)
        settings["curriculum"]["stages"] = forms.stage_editor(settings["curriculum"]["stages"], version)
        shown = ("curriculum.window", "curriculum.min_episodes")
        forms.fields([name for name in forms.section_names("curriculum") if name not in shown], settings, version, errors, 3)
        for name, text in errors.items():
            if name.startswith("curriculum.stages"):
                st.caption(f":red[{forms.with_labels(text)}]")
    sections = {
        "PPO": "ppo",
        "Environment and reward": "env",
        "Logos": "logos",
        "Evaluation": "evaluation",
        "Checkpoints and stopping": "checkpoint",
        "Health and recovery": "health",
        "Trackers": "trackers",
    }
    with st.expander("Advanced", icon=":material/settings:"):
        for tab, section in zip(st.tabs([*sections, "Run"], key="tab", bind="query-params"), [*sections.values(), "run"], strict=True):
            with tab:
                if section == "run":
                    own = ["note", "n_envs", "device", *forms.section_names("workers"), *forms.section_names("outcome")]
                    forms.fields(own, settings, version, errors)
                    continue
                own = forms.section_names(section)
                if section == "env":
                    centre_choice(settings, version)
                    own += forms.section_names("reward")
                if section == "health":
                    own += forms.section_names("recovery")
                if section == "checkpoint":
                    own += ["early_stop.enabled", *[n for n in forms.section_names("early_stop") if n != "early_stop.enabled"]]
                forms.fields(own, settings, version, errors)

if settings["workers"]["backend"] == "local":  # a run that needs no address says none
    settings["workers"]["address"] = unchanged["workers"]["address"]
st.session_state[f"draft.{version}"] = settings
config, errors_now = check(settings)
kept_form.keep(unchanged, config.model_dump(mode="json") if config is not None else settings)
if set(errors_now) != set(errors) or rounding(settings) != notes:
    st.rerun()  # so that each message stands at its setting

with right, st.container(border=True):
    n_logos, counts, skipped, problem = logos_of(
        settings["logos"]["path"] or "", int(settings["logos"]["n_per_category"] or 60), int(settings["logos"]["builtin_seed"] or 0)
    )
    if problem:
        st.error(plain(problem))
    else:
        source_text = "built-in logos" if settings["logos"]["path"] == BUILTIN else "logos in this folder"
        st.markdown(f"**{n_logos} {source_text}**")
        st.caption(" · ".join(f"{sum(splits.values())} {category}" for category, splits in counts.items()))
        if skipped:
            with st.expander(f"{len(skipped)} files skipped", icon=":material/warning:"):
                st.dataframe([{"file": Path(s).name, "reason": reason} for s, reason in skipped], hide_index=True)
    if config is None:
        st.error(not_ready(errors_now))
    else:
        st.markdown(estimate(config))
        for problem_text in preflight(config, console.home):
            st.warning(forms.with_labels(problem_text[:1].upper() + problem_text[1:] + "."))
    if (
        button(
            "Start",
            does="run.fork" if forked else "run.start",
            type="primary",
            icon=":material/play_arrow:",
            width="stretch",
            disabled=config is None or bool(problem),
            key="start",
        )
        and config
    ):
        st.session_state.pop(f"draft.{version}", None)
        actions.fork(console, forked[0], forked[1], config) if forked else actions.start(console, config)

if config is not None:
    with right:
        st.caption("Same as on the command line")
        preset_path = presets().get(version.removeprefix("preset.").split(".curriculum.")[0])
        if preset_path is not None:
            base = load_config(preset_path)
            changes = [
                f"--set {shlex.quote(f'{name}={value}')}"
                for name, _, value in tables.differences(base, config)
                if not isinstance(value, list | dict)
            ]
            is_plain = all(not isinstance(value, list | dict) for _, _, value in tables.differences(base, config))
            file = f"configs/{preset_path.name}" if preset_path.parent == PRESETS else shlex.quote(str(preset_path))
            command = f"{program()} train --config {file}" + "".join(f" \\\n  {c}" for c in changes)
        else:
            is_plain, command = False, ""
        st.code(command if is_plain else f"{program()} train --config run.yaml", language="bash", wrap_lines=True)
        downloads.button("run.yaml", to_yaml(config), "run.yaml", "application/yaml", icon=":material/download:", key="yaml")
        with st.expander("Show the YAML"):
            st.code(to_yaml(config), language="yaml", height=360)
