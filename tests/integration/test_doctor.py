"""Training health: every rule fires on a training that has what it looks for, and all stay quiet on healthy runs.

Most fire in real (tiny) trainings with settings that break them; the others in the recorded log of a full healthy run
into which one fault was written. The recordings hold metrics, evaluations and stages of full runs.
"""

import dataclasses
import gzip
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from core.config.config import RunConfig
from core.config.text import load_config
from core.errors import TrainingError
from core.health.doctor import Doctor
from core.health.interventions import Interventions
from core.health.rules import RULE_NAMES, RULES
from core.runs.event_fields import from_data, to_data
from core.runs.events import Event, EventWriter, parse, read_events
from core.runs.records import claim, read_config
from core.runs.run_dir import RunDir
from core.runs.status import Status, run_state
from core.training.session import Extras
from core.training.trainer import train
from tests.support.paths import ASSETS
from tests.support.runs import BY_VTRACER_ALONE, tiny_config, update_values, values

LOGS = ASSETS / "logs"
RECORDED = sorted(path.name.removesuffix(".jsonl.gz") for path in LOGS.glob("*.gz"))


def recording(name: str) -> tuple[RunConfig, list[Event]]:
    with gzip.open(LOGS / f"{name}.jsonl.gz") as file:
        return load_config(LOGS / f"{name}.yaml"), [event for line in file if (event := parse(line))]


def diagnose(config: RunConfig, events: list[Event]) -> list[tuple[str, str, int]]:
    doctor = Doctor(config)
    for event in events:
        doctor.observe(event.step, event.data)
    return [(f.rule, f.severity, f.step) for f in doctor.take()]


@pytest.mark.parametrize("name", RECORDED)
def test_a_healthy_full_run_raises_nothing_severe(name):
    """And nothing at all of the other kinds, in these four."""
    config, events = recording(name)
    assert sum(e.kind == "evaluation" for e in events) >= 3
    assert diagnose(config, events) == []


def broken_config(folder: Path, **changes) -> RunConfig:
    base = {"total_timesteps": 3200, "n_envs": 16, "ppo": {"n_steps": 4, "batch_size": 64, "n_epochs": 4}, "outcome": {"members": 0},
            "logos": {"path": str(folder), "work_size": 32}, "evaluation": {"every_steps": 320, "max_logos": 4},
            "pipeline": BY_VTRACER_ALONE}  # fmt: skip
    for key, value in changes.items():
        base[key] = base.get(key, {}) | value if isinstance(value, dict) else value
    return tiny_config(folder, **base)


OUT_OF_REACH = {"target_ssim": 1.0, "required_gain": 9}
STUCK = {"enabled": True, "window": 20, "min_episodes": 50, "probe": False, "on_failure": "advance",
         "stages": [{"name": "a", "max_episodes": 1500} | OUT_OF_REACH, {"name": "b", "max_episodes": 50_000} | OUT_OF_REACH]}  # fmt: skip
SICK = {
    "much too fast": {"seed": 2, "ppo": {"learning_rate": 0.3, "n_epochs": 10}},
    # at the ends of VTracer's ranges all colours fall together, which fitted gradients would hide
    "out of all ranges": {"seed": 1, "ppo": {"learning_rate": 0.3, "n_epochs": 10}, "env": {"centre": None}},
    "paid for small files": {"total_timesteps": 4800, "reward": {"quality": 0.0, "size": 1.0}, "ppo": {"learning_rate": 5e-4}},
    "not learning": {"ppo": {"learning_rate": 1e-9}},
    "wide": {"total_timesteps": 640, "ppo": {"log_std_init": 2.0}, "env": {"centre": None}},
    "stuck": {"total_timesteps": 1280, "curriculum": STUCK},
}
FOUND_IN = {
    "kl_high": "much too fast",
    "clip_high": "much too fast",
    "std_explosion": "out of all ranges",
    "entropy_collapse": "much too fast",
    "gain_fall": "much too fast",
    "clipped_actions": "wide",
    "failed_traces": "out of all ranges",
    "most_traces_fail": "out of all ranges",
    "hacked_reward": "paid for small files",
    "reward_fall": "paid for small files",
    "plateau": "not learning",
    "no_promotion": "stuck",
}


@pytest.fixture
def logos(recordings) -> Path:
    return recordings.logos


@pytest.fixture
def trained(recordings) -> Callable[[str], RunDir]:
    """A training by the name of its sickness, recorded when first asked for."""
    return lambda name: recordings.original(broken_config(recordings.logos, name=name, **SICK[name]))


@pytest.mark.parametrize(
    ("rule", "sickness"), [pytest.param(rule, found, marks=pytest.mark.xdist_group(found)) for rule, found in FOUND_IN.items()]
)
def test_a_rule_fires_in_a_real_training_that_has_it(trained, rule, sickness):
    run = trained(sickness)
    told = [e for e in read_events(run.events_file) if e.kind == "alert" and e.data.rule == rule]
    assert told, [e.data.rule for e in read_events(run.events_file) if e.kind == "alert"]
    first = told[0]
    assert 0 < first.step <= read_config(run).total_timesteps
    assert all(getattr(first.data, key) for key in ("title", "evidence", "cause", "remedy", "severity"))
    assert any(char.isdigit() for char in first.data.evidence)  # the evidence has figures


def changed(events: list[Event], kind: str, change: Callable[[int, dict], dict], after: float = 0.5) -> list[Event]:
    """A recording in which ``change`` was done to every event of a kind from the middle on; it is told the how manieth
    since it is."""
    found, n = [], 0
    begin = after * max(e.step for e in events)
    for event in events:
        if event.kind == kind and event.step >= begin:
            found.append(dataclasses.replace(event, data=from_data(kind, change(n, dict(to_data(event.data))))))
            n += 1
        else:
            found.append(event)
    return found


def on(name: str, value: Callable[[float], float | None]) -> Callable[[int, dict], dict]:
    return lambda n, data: data | ({name: value(data[name])} if name in data else {})


FAULTS: dict[str, tuple[str, Callable[[int, dict], dict]]] = {
    "value_useless": ("metrics", on("train/explained_variance", lambda v: v - 0.8)),
    "not_finite": ("metrics", on("train/value_loss", lambda v: None)),
    "gradient_explosion": ("metrics", on("train/grad_norm", lambda v: 100 * v)),
    "overfitting": ("evaluation", lambda n, data: data | {"gain": 0.38 - 0.012 * n}),
    "anomaly": ("metrics", on("train/entropy_loss", lambda v: v - 2.5)),
}


@pytest.mark.parametrize("rule", FAULTS)
def test_a_rule_fires_in_a_recorded_log_with_its_fault(rule):
    config, events = recording("recommended")
    kind, change = FAULTS[rule]
    if rule == "overfitting":  # and the training logos go on getting better
        events = changed(events, "metrics", lambda n, data: data | ({"trace/gain": 0.3 + 0.001 * n} if "trace/gain" in data else {}))
    told = diagnose(config, changed(events, kind, change))
    middle = 0.5 * max(e.step for e in events)
    assert rule in {name for name, _, _ in told}
    assert min(step for name, _, step in told if name == rule) >= middle


def test_a_training_that_becomes_slow_is_told():
    config, events = recording("recommended")
    steady = changed(events, "metrics", lambda n, data: data | ({"time/step_rate": 200.0 + n % 7} if "time/iterations" in data else {}), 0)
    assert diagnose(config, steady) == []
    slow = changed(steady, "metrics", lambda n, data: data | ({"time/step_rate": 50.0} if "time/iterations" in data else {}))
    assert [name for name, _, _ in diagnose(config, slow)] == ["slow"]


def test_a_stage_that_is_close_at_its_limit_is_told():
    config, events = recording("curriculum")
    last = config.curriculum.stages[-1]
    config.curriculum.ends_run = True
    config.curriculum.stages[-1].max_episodes = 9200
    share = {"curriculum/success_share": last.success_threshold - 0.05}
    close = changed(events, "metrics", lambda n, data: data | (share if "curriculum/stage" in data else {}), 0.3)
    assert "nearly_promoted" in {name for name, _, _ in diagnose(config, close)}


def test_every_rule_has_a_test_that_makes_it_fire():
    assert {*FOUND_IN, *FAULTS, "slow", "nearly_promoted"} == set(RULE_NAMES)
    assert len({rule.name for rule in RULES}) == len(RULES)


def test_a_rule_tells_once_while_it_lasts():
    config, events = recording("recommended")
    told = diagnose(config, changed(events, *FAULTS["not_finite"]))
    assert [name for name, _, _ in told].count("not_finite") == 1


def test_a_rule_can_be_left_out():
    config, events = recording("recommended")
    config.health.ignore = ["not_finite"]
    assert "not_finite" not in {name for name, _, _ in diagnose(config, changed(events, *FAULTS["not_finite"]))}


def test_a_resumed_run_is_not_told_what_it_was_told_before(trained):
    run = trained("much too fast")
    doctor = Doctor(read_config(run))
    doctor.replay(read_events(run.events_file))
    assert doctor.take() == []
    assert doctor.history.n_updates == 50


# What is done about it


def overflow_at(step: int) -> Extras:
    """Make the networks overflow once, in the update after a step."""
    import torch
    from stable_baselines3.common.callbacks import BaseCallback

    class Overflow(BaseCallback):
        is_done = False

        def _on_step(self) -> bool:
            return True

        def _on_rollout_end(self) -> None:
            if self.num_timesteps >= step and not self.is_done:
                self.is_done = True
                with torch.no_grad():
                    next(iter(self.model.policy.parameters())).fill_(math.inf)

    return Extras(callbacks=[Overflow()])


def actions(run: RunDir) -> list[tuple[str, str]]:
    return [(e.data.rule, e.data.text) for e in read_events(run.events_file) if e.kind == "action"]


def test_networks_that_overflow_end_the_run_with_the_reason_and_a_whole_checkpoint(home, logos, recordings):
    run = claim(home, broken_config(logos, total_timesteps=1280))
    with pytest.raises(TrainingError, match="have contained NaN since step 640; the last checkpoint is intact"):
        train(run, extras=overflow_at(640))
    assert run_state(run).status is Status.FAILED
    undisturbed = recordings.original(broken_config(logos, total_timesteps=1280))
    train(run, resume=True)
    assert values(run, beyond=576, attempt=2) == values(undisturbed, beyond=576)


def test_networks_that_overflow_are_rolled_back_where_that_is_wanted(home, logos):
    run = claim(home, broken_config(logos, total_timesteps=1280, health={"on_instability": "roll_back"}))
    assert train(run, extras=overflow_at(640)).status is Status.COMPLETED
    assert next(e.data.rule for e in read_events(run.events_file) if e.kind == "alert") == "not_finite"
    (done,) = actions(run)
    assert done[0] == "not_finite"
    assert "restored the networks of best" in done[1]
    assert "halved the learning rate" in done[1]
    rates = {
        e.step: e.data.values["train/learning_rate"]
        for e in read_events(run.events_file, ["metrics"])
        if "train/learning_rate" in e.data.values
    }
    schedule = {step: 2e-3 * (1 - (step) / 1280) for step in rates}
    assert rates[576] == pytest.approx(schedule[576], rel=0.01)
    assert rates[960] == pytest.approx(schedule[960] / 2, rel=0.01)


def test_an_intervention_is_part_of_a_checkpoint(home, logos):
    """A run that was rolled back, then stopped and resumed, goes on as one that was rolled back and not stopped."""
    config = broken_config(
        logos, total_timesteps=1280, health={"on_instability": "roll_back"}, checkpoint={"every_steps": 128, "keep": 100}
    )
    runs = [claim(home, config) for _ in range(2)]
    for run in runs:
        train(run, extras=overflow_at(640))
    step = min(int(name[5:]) for name in runs[1].checkpoint_names() if name.startswith("step-") and int(name[5:]) > 704)
    train(runs[1], resume=True, checkpoint=f"step-{step:010d}")
    assert values(runs[1], beyond=step, attempt=2) == values(runs[0], beyond=step)
    assert update_values(runs[1], beyond=step, attempt=2) == update_values(runs[0], beyond=step)


def test_a_severe_finding_stops_the_run_where_that_is_wanted(home, logos):
    run = claim(home, broken_config(logos, **SICK["much too fast"], health={"on_instability": "stop"}))
    ending = train(run)
    assert ending.status is Status.STOPPED
    assert ending.reason.startswith("stopped by the doctor: Updates move the policy too far; approx_kl is")


def test_a_plateau_ends_the_run_where_that_is_wanted(home, logos):
    run = claim(home, broken_config(logos, **SICK["not learning"], health={"stop_on_plateau": True}))
    ending = train(run)
    assert ending.status is Status.COMPLETED
    assert ending.reason.startswith("ended on a plateau: 8 evaluations without")


def test_the_entropy_coefficient_follows_where_that_is_wanted(home, logos):
    run = claim(home, broken_config(logos, **SICK["much too fast"], health={"adjust_entropy": True, "max_actions": 2}))
    train(run)
    found = actions(run)
    assert len(found) == 2  # and no more, whatever else is found
    assert {rule for rule, _ in found} <= {"std_explosion", "entropy_collapse"}
    assert ("entropy_collapse", "changed the entropy coefficient from 0 to 0.005") in found


def test_a_stage_that_gets_nowhere_is_shortened_where_that_is_wanted(home, logos):
    run = claim(home, broken_config(logos, **SICK["stuck"], health={"adjust_stages": True}))
    train(run)
    found = actions(run)
    assert found[0][0] == "no_promotion"
    assert found[0][1].startswith("shortened the stage to ")
    ended = next(e for e in read_events(run.events_file) if e.kind == "stage_ended")
    assert ended.data.name == "a"
    assert ended.step < 1280


def test_a_stage_that_is_close_is_extended(home, logos):
    from core.curriculum.curriculum import Curriculum
    from core.health.doctor import Finding

    config = broken_config(logos, curriculum=STUCK, health={"adjust_stages": True})
    run = claim(home, config)
    curriculum = Curriculum(config.curriculum)
    with EventWriter(run.events_file) as events:
        agent: object = None
        interventions = Interventions(config, events, agent, curriculum, run)
        interventions.act_on(Finding("nearly_promoted", "info", 10, "t", "e", "c", "r"))
    assert curriculum.episode_limit == 2250
    assert actions(run) == [("nearly_promoted", "extended the stage to 2250 episodes")]
