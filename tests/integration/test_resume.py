"""A run goes on exactly where it was: stopped, killed, at a promotion, from a damaged checkpoint; pauses, full disks."""

import errno
import hashlib
import json
import os
import signal
import threading
import time

import pytest
from stable_baselines3.common.callbacks import BaseCallback

from core.agents.checkpoint import load_agent, read_checkpoint
from core.errors import CheckpointError, RunError
from core.runs.event_types import BaselineMeasured, Metrics, PhaseStarted, Record
from core.runs.events import EventWriter, read_events
from core.runs.records import claim, read_config, read_heartbeat, read_log_tail, write_config
from core.runs.run_dir import CHECKSUMS_FILE, ROLLOUT_FILE
from core.runs.status import Status, run_state
from core.scheduling import local, queue
from core.scheduling.scheduler import Scheduler
from core.training.checkpoint_manager import find_start
from core.training.heartbeat import StopFlag
from core.training.session import Extras
from core.training.trainer import train
from storage.snapshot import open_snapshot
from tests.support.disks import fill
from tests.support.runs import BY_VTRACER_ALONE, await_end, follow, tiny_config, update_values, values

STAGES = {
    "enabled": True,
    "window": 50,
    "min_episodes": 700,
    "probe": False,
    "on_failure": "advance",
    "max_extensions": 0,
    "stages": [
        {"name": "first", "categories": ["simple"], "difficulty": 0, "target_ssim": 0, "required_gain": -5, "max_episodes": 900},
        {"name": "second", "categories": ["simple", "text"], "target_ssim": 1.0, "required_gain": 9, "max_episodes": 900},
        {"name": "third", "target_ssim": 1.0, "required_gain": 9, "max_episodes": 50_000},
    ],
}
N_COMPARED = 2000
UNTROUBLED = {"total_timesteps": 1600, "pipeline": BY_VTRACER_ALONE, "checkpoint": {"every_steps": 100_000}}  # recorded once, for two tests


def long_config(folder, **changes):
    """Some 3,500 episodes over three stages, in updates of 128; stages change at episodes 700 and 1,600."""
    base = {"total_timesteps": 3840, "n_envs": 16, "curriculum": STAGES, "evaluation": {"every_steps": 1280, "max_logos": 4},
            "ppo": {"n_steps": 8, "batch_size": 64}, "checkpoint": {"every_steps": 512}, "logos": {"path": str(folder), "work_size": 32},
            "recovery": {"enabled": True, "backoff_s": 0}, "pipeline": BY_VTRACER_ALONE}  # fmt: skip
    return tiny_config(folder, **(base | changes))


@pytest.fixture
def whole(recordings):
    """The run that was never stopped, with its logos."""
    return recordings.original(long_config(recordings.logos)), recordings.logos


@pytest.mark.xdist_group("whole run")
@pytest.mark.parametrize("place", ["inside a stage", "at a promotion", "automatic restart"])
def test_a_run_goes_on_exactly_as_if_it_had_never_stopped(home, whole, place):
    run_of_whole, folder = whole
    run = local.start(home, long_config(folder))
    if place == "at a promotion":
        follow(run, lambda e: e.kind == "stage_ended")
    else:
        follow(run, lambda e: e.kind == "metrics" and e.step >= 256)
    if place == "automatic restart":
        process = read_heartbeat(run).process
        process.send(signal.SIGKILL)
        while process.is_alive():
            time.sleep(0.01)
        assert run_state(run).status is Status.INTERRUPTED
        scheduler = Scheduler(home)
        try:
            assert scheduler.tick() == [run.run_id]
        finally:
            scheduler.release()
    else:
        local.stop(run)
        assert await_end(run) is Status.STOPPED
        local.resume(run)
    assert await_end(run, 120) is Status.COMPLETED
    start = next(e for e in read_events(run.events_file) if e.kind == "attempt_started" and e.attempt == 2)
    step = start.data.from_step
    assert 0 < step < 3840 - N_COMPARED
    if place == "automatic restart":
        assert "automatic restart 1 of 3" in start.data.cause
    again, never = values(run, beyond=step, attempt=2), values(run_of_whole, beyond=step)
    assert sum(kind == "episode" for kind, _, _ in again) >= N_COMPARED
    assert any(kind == "stage_ended" for kind, _, _ in again)
    assert again == never
    updates = update_values(run, beyond=step, attempt=2)
    assert updates == update_values(run_of_whole, beyond=step)
    assert len(updates) >= N_COMPARED / 128


@pytest.mark.parametrize(
    "changes",
    [{"env": {"max_steps": 3}, "ppo": {"n_steps": 8, "batch_size": 16, "normalize_observation": True, "normalize_reward": True}}],
)
def test_episodes_of_several_steps_and_the_normaliser_go_on_exactly(recorded, changes):
    whole, parted = (recorded(total_timesteps=192, **changes) for _ in range(2))
    train(parted, resume=True, checkpoint="step-0000000064")
    assert values(parted, beyond=64, attempt=2) == values(whole, beyond=64)
    assert update_values(parted, beyond=64, attempt=2) == update_values(whole, beyond=64)


class StopsAt(BaseCallback):
    """Asks for a stop behind the first step from ``at`` on, as a signal would."""

    def __init__(self, at, stop):
        super().__init__()
        self._at, self._stop = at, stop

    def _on_step(self):
        if self.num_timesteps >= self._at:
            self._stop.reason = "asked to stop (SIGTERM)"
        return not self._stop


def train_until(run, at):
    """Train on, and stop behind this step."""
    stop = StopFlag()
    ending = train(run, resume=run.events_file.exists(), extras=Extras(stop=stop, callbacks=[StopsAt(at, stop)]))
    assert (ending.status, ending.reason) == (Status.STOPPED, "asked to stop (SIGTERM); resumes from last")
    assert read_checkpoint(run.checkpoints / "last")[1]["step"] == at


def rollout_means(run):
    """What a rollout's steps and episodes add up to, without clocks."""
    return [
        (e.step, {k: v for k, v in e.data.values.items() if k.startswith(("reward/", "trace/", "curriculum/")) and k not in OF_A_MACHINE})
        for e in read_events(run.events_file)
        if isinstance(e.data, Metrics) and "time/iterations" in e.data.values
    ]


OF_A_MACHINE = ("trace/cpu_s", "reward/speed", "trace/cache_hit_rate", "trace/workers_lost")
KINDS = ("episode", "evaluated", "evaluation", "stage_started", "stage_ended", "stage_evaluation")
SHORT_STAGES = {"enabled": True, "window": 5, "min_episodes": 5, "probe": False, "on_failure": "advance", "max_extensions": 0, "stages": [
    {"name": "first", "categories": ["simple"], "target_ssim": 1.0, "required_gain": 9, "max_episodes": 14},
    {"name": "second", "target_ssim": 1.0, "required_gain": 9, "max_episodes": 50_000},
]}  # fmt: skip
WITHIN = {
    "groups, a promotion in the open rollout": {"curriculum": SHORT_STAGES, "ppo": {"group_size": 2}},
    "several steps, the normaliser": {"env": {"max_steps": 3}, "ppo": {"normalize_observation": True, "normalize_reward": True}},
}


@pytest.mark.parametrize("changes", WITHIN.values(), ids=WITHIN)
def test_stops_within_rollouts_lose_nothing(home, recordings, changes):
    """Stopped twice within the first rollout, and with the last step of the second: all attempts together are the run that never stopped."""
    config = tiny_config(recordings.logos, **changes)
    never, run = recordings.original(config), claim(home, config)
    for at in (12, 20, 64):
        train_until(run, at)
    assert train(run, resume=True).status is Status.COMPLETED
    assert values(run, KINDS) == values(never, KINDS)
    assert update_values(run) == update_values(never)
    assert rollout_means(run) == rollout_means(never)
    assert len(rollout_means(run)) == 3
    assert not (run.checkpoints / "last" / ROLLOUT_FILE).exists()
    with open_snapshot(home) as snapshot:
        assert sorted(snapshot.table("episodes")["episode"]) == list(
            range(1, 1 + sum(e.kind == "episode" for e in read_events(never.events_file)))
        )


def test_a_damaged_open_rollout_costs_the_open_rollout_and_no_more(home, recordings):
    config = tiny_config(recordings.logos)
    never, run = recordings.original(config), claim(home, config)
    train_until(run, 12)  # in the first rollout: there is no checkpoint before it
    damage(run.checkpoints / "last", ROLLOUT_FILE)
    train_until(run, 40)
    damage(run.checkpoints / "last", ROLLOUT_FILE)
    load_agent(run.checkpoints / "last")  # whoever does not go on with it does not miss it
    assert train(run, resume=True).status is Status.COMPLETED
    told = [e.data.text for e in read_events(run.events_file) if e.kind == "warning"]
    lost = "last: rollout.npz is damaged (its checksum differs); use another checkpoint. The run"
    assert [text for text in told if "rollout" in text] == [f"{lost} begins again instead", f"{lost} continues from previous instead"]
    assert values(run, beyond=32, attempt=3) == values(never, beyond=32)


def damage(folder, name="policy.pt"):
    file = folder / name
    file.write_bytes(file.read_bytes()[:-10])


def test_a_damaged_checkpoint_is_found_out_and_the_one_before_is_used(recorded):
    whole, run = (recorded(total_timesteps=256) for _ in range(2))
    damage(run.checkpoints / "last")
    with pytest.raises(CheckpointError, match=r"policy.pt is damaged"):
        read_checkpoint(run.checkpoints / "last")
    with pytest.raises(CheckpointError, match="no checkpoint can be used"):
        find_start(run, "last")
    folder, state, notes = find_start(run)
    assert folder.name == "previous"
    assert notes == ["last: policy.pt is damaged (its checksum differs); use another checkpoint"]
    train(run, resume=True)
    told = [e.data.text for e in read_events(run.events_file) if e.kind == "warning"]
    assert any("last: policy.pt is damaged" in text and "continues from previous instead" in text for text in told)
    assert values(run, beyond=state["step"], attempt=2) == values(whole, beyond=state["step"])

    for name in run.checkpoint_names():
        damage(run.checkpoints / name)
    with pytest.raises(CheckpointError, match="no checkpoint can be used"):
        train(run, resume=True)


def test_a_resume_from_a_chosen_checkpoint_goes_on_from_there_whatever_happens_next(recorded):
    run = recorded(total_timesteps=128)
    with pytest.raises(RunError, match="has no checkpoint 'worst'"):
        train(run, resume=True, checkpoint="worst")
    write_config(run, read_config(run).model_copy(update={"total_timesteps": 256}))
    train(run, resume=True, checkpoint="step-0000000064")
    starts = [e.data for e in read_events(run.events_file) if e.kind == "attempt_started"]
    assert starts[-1].from_step == 64
    assert starts[-1].from_checkpoint == "step-0000000064"


@pytest.mark.xdist_group("untroubled")
def test_pause_and_continue_change_nothing_but_the_clock(home, recordings):
    config = tiny_config(recordings.logos, **UNTROUBLED)
    undisturbed = recordings.original(config)
    run = local.start(home, config)
    follow(run, lambda e: e.kind == "metrics" and e.step >= 64)
    local.pause(run)
    follow(run, lambda e: e.kind == "paused")
    deadline = time.monotonic() + 10
    while run_state(run).status is not Status.PAUSED:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    size = run.events_file.stat().st_size
    with pytest.raises(RunError, match="PAUSED"):
        local.pause(run)
    time.sleep(1.0)  # time passes, and nothing happens
    assert run.events_file.stat().st_size == size
    local.proceed(run)
    assert await_end(run) is Status.COMPLETED
    assert values(run) == values(undisturbed)
    assert update_values(run) == update_values(undisturbed)


def test_a_paused_run_can_be_stopped(home, logo_folder):
    run = local.start(home, tiny_config(logo_folder, total_timesteps=100_000))
    follow(run, lambda e: e.kind == "metrics")
    local.pause(run)
    follow(run, lambda e: e.kind == "paused")
    local.stop(run)
    with pytest.raises(RunError, match="it can be killed"):
        local.stop(run)
    assert await_end(run) is Status.STOPPED
    local.resume(run)  # goes on, not into the old pause
    follow(run, lambda e: e.attempt == 2 and e.kind == "metrics")
    local.stop(run, force=True)
    while run_state(run).status is Status.RUNNING:
        time.sleep(0.02)
    assert run_state(run).status is Status.INTERRUPTED
    assert "killed by hand" in run_state(run).reason


def test_a_resumed_run_that_is_stopped_while_it_gets_ready_is_stopped(recorded):
    """Its signal comes before the first step of the new attempt."""
    run = recorded(total_timesteps=128)
    write_config(run, read_config(run).model_copy(update={"total_timesteps": 256}))
    stop = StopFlag()

    def stop_while_preparing(step: int, record: Record) -> None:
        if isinstance(record, PhaseStarted) and record.phase.startswith("preparing"):
            stop.reason = "asked to stop (SIGTERM)"

    ending = train(run, resume=True, extras=Extras(stop=stop, listeners=[stop_while_preparing]))
    assert ending.status is Status.STOPPED
    assert train(run, resume=True).status is Status.COMPLETED


def test_a_run_that_is_stopped_before_its_first_step_goes_on(home, recorded, recordings):
    """There is a best checkpoint already, of the evaluation at step 0, but nothing that could go on from it."""
    undisturbed, run = recorded(total_timesteps=64), claim(home, tiny_config(recordings.logos, total_timesteps=64))
    asked = []

    def stop_at_baseline(step: int, record: Record) -> None:
        if isinstance(record, BaselineMeasured) and not asked:
            asked.append(record)
            os.kill(os.getpid(), signal.SIGTERM)  # once: the second signal ends the process

    assert train(run, extras=Extras(listeners=[stop_at_baseline])).status is Status.STOPPED
    assert run.checkpoint_names() == ["best"]
    assert train(run, resume=True).status is Status.COMPLETED
    assert values(run, beyond=0, attempt=2) == values(undisturbed, beyond=0)


def test_a_run_that_is_stopped_before_it_began_is_no_failure(home, logo_folder):
    run = local.start(home, tiny_config(logo_folder))
    local.stop(run, force=True)
    deadline = time.monotonic() + 20
    while run_state(run).status is Status.RUNNING:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert (run_state(run).status, run_state(run).reason) == (Status.STOPPED, "stopped before it started")


def test_a_line_that_finds_no_room_is_taken_back_and_written_again(tmp_path, monkeypatch):
    path, waits = tmp_path / "events.jsonl", []
    writer = EventWriter(path, waits.append)
    writer.write(0, PhaseStarted(phase="a"))
    real, calls = os.write, []

    def write(file: int, data) -> int:
        calls.append(len(data))
        if len(calls) == 1:
            return real(file, data[:7])  # half a line fits
        if len(calls) in (2, 3):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data)

    monkeypatch.setattr(os, "write", write)
    writer.write(0, PhaseStarted(phase="b"))
    writer.close()
    assert len(waits) == 2
    assert [e.data.phase for e in read_events(path)] == ["a", "b"]
    assert path.read_bytes().count(b"\n") == 2


@pytest.mark.xdist_group("untroubled")
def test_a_full_disk_makes_a_run_wait_and_loses_nothing(small_disk, recordings):
    config = tiny_config(recordings.logos, **UNTROUBLED)
    undisturbed = recordings.original(config)
    run = local.start(small_disk / "runs", config)
    follow(run, lambda e: e.kind == "metrics" and e.step >= 64)
    filler = small_disk / "filler"
    fill(filler)
    deadline = time.monotonic() + 30
    while "waiting for disk space" not in run_state(run).reason:
        assert time.monotonic() < deadline, read_log_tail(run)
        time.sleep(0.05)
    assert run_state(run).status is Status.RUNNING
    filler.unlink()
    assert await_end(run) is Status.COMPLETED
    assert values(run) == values(undisturbed)
    assert [e.seq for e in read_events(run.events_file)] == list(range(1, 1 + sum(1 for _ in read_events(run.events_file))))


def test_state_of_a_checkpoint_names_what_it_was_made_with(recorded):
    run = recorded(total_timesteps=64)
    state = json.loads((run.checkpoints / "last" / "state.json").read_text())
    assert {"rng", "environments", "logos_digest", "versions", "total_timesteps", "trainer"} <= set(state)
    assert set(state["rng"]) == {"python", "numpy", "torch"}
    assert state["versions"]["torch"].startswith("2.13.0")


@pytest.mark.parametrize("what", ["parameters", "config"])
def test_a_run_of_a_version_with_other_parameters_and_another_score_says_why_it_can_not_go_on(recorded, what):
    run = recorded(total_timesteps=64)
    for name in run.checkpoint_names():
        folder = run.checkpoints / name
        if what == "parameters":
            state = json.loads((folder / "state.json").read_text())
            state["param_names"] = state["param_names"][:7]
            (folder / "state.json").write_text(json.dumps(state))
        else:
            (folder / "config.yaml").write_text((folder / "config.yaml").read_text().replace("version: 2", "version: 1"))
        sums = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir() if f.name != CHECKSUMS_FILE}
        (folder / CHECKSUMS_FILE).write_text(json.dumps(sums))
    with pytest.raises(CheckpointError, match=r"older version.*Clone the run to start a new one"):
        find_start(run)


def test_a_run_is_never_trained_by_two_at_once(home, logo_folder):
    """Two schedulers and a third start at the same moment: one attempt."""
    run = queue.submit(home, tiny_config(logo_folder, total_timesteps=64))
    schedulers = [Scheduler(home), Scheduler(home)]
    started: list[str] = []
    threads = [threading.Thread(target=lambda s=s: started.extend(s.tick())) for s in schedulers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    local.spawn(run)
    for s in schedulers:
        s.release()
    assert started == [run.run_id]
    assert await_end(run) is Status.COMPLETED
    assert [e.attempt for e in read_events(run.events_file) if e.kind == "attempt_started"] == [1]
