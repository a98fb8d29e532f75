"""The benchmarks: that each measures what it says, and that the document keeps what it has."""

import json
import math
import random
import re
import socket
import threading
import time
from importlib.util import find_spec

import pytest
from typer.testing import CliRunner

from core.bench import ablation, ingest, report, throughput
from core.bench.made_up import made_up
from core.bench.report import TARGETS, Report, met_text, percentile, take_turns, write_section
from core.bench.watched_console import Server
from core.bench.whole_training import Replay, time_of_steps
from core.cli.app import app
from core.cli.bench import NAMES
from core.config.text import load_config, to_yaml
from core.environment.episode import PreparedLogo
from core.errors import ConfigError
from core.logos.dataset import load_logos
from core.paths import PRESETS
from core.runs.event_fields import to_data
from core.runs.event_types import EpisodeEnded, Metrics
from core.runs.events import Event, read_events
from core.tracing.params import DEFAULTS
from core.tracing.picture import Picture
from core.tracing.raster import rasterizer
from core.training.data_loader import load_set, training_logos
from tests.support.command_line import core
from tests.support.requirements import need
from tests.support.runs import tiny_config


def test_a_section_is_replaced_and_the_others_stay(tmp_path):
    path = tmp_path / "benchmarks.md"
    first, second = Report("ingest", "Ingest", {"ingest_rows_per_s": 1000.0}), Report("ui", "Console", {"live_chart_1m_s": 1.5})
    first.add("what", "7 ms", "remark")
    for one in (first, second, Report("ingest", "Ingest", {"ingest_rows_per_s": 400_000.0})):
        write_section(one, path)
    text = path.read_text()
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Ingest", "Console"]
    assert "| `ingest_rows_per_s` | 400,000 | >= 300,000 | yes |" in text
    assert "| `live_chart_1m_s` | 1.500 | <= 2 | yes |" in text
    assert "7 ms" not in text
    assert "cores" in text


def test_targets_are_held_in_their_direction():
    assert met_text("step_over_vtracer", 1.35) == "yes"
    assert met_text("step_over_vtracer", 1.36) == "**no**"
    assert met_text("naive_over_step", 1.4) == "**no**"
    assert met_text("anything", 1.0) == ""
    assert met_text("events_lost", 0) == "yes"
    assert met_text("events_lost", 1) == "**no**"
    assert {direction for direction, _ in TARGETS.values()} == {"<=", ">="}


class Writer:
    exitcode = None


def test_the_lag_counts_what_comes_late():
    """Not only what is there when the time is over: that would make a stalled writer look fast."""
    began, n = time.time(), 40
    late_s = 0.6

    class Slow:
        """Two runs with an event every 20 ms; those of the second are seen only ``late_s`` after they were written."""

        def rows(self, sql: str, parameters: list | None = None) -> list[tuple]:
            now = time.time() - began
            seen = {1: int(now / 0.02), 2: int((now - late_s) / 0.02)}
            if parameters is None:
                return [(run, seq) for run, seq in seen.items() if seq > 0]
            _, first, last = parameters
            return [(began + seq * 0.02,) for seq in range(first + 1, last + 1)]

    lags = ingest._watch(Slow(), n * 0.02, [Writer(), Writer()])
    n_late = n + late_s / 0.02  # those too that had not been seen when it began
    assert sum(lag > late_s / 2 for lag in lags) == pytest.approx(n_late, abs=8)
    assert len(lags) == pytest.approx(n + n_late, abs=12)


def test_a_server_that_dies_while_it_answers_is_down():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def answer() -> None:
            taken, _ = listener.accept()
            taken.recv(4096)
            taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
            taken.close()

        thread = threading.Thread(target=answer)
        thread.start()
        server = Server.__new__(Server)
        server.port = listener.getsockname()[1]
        assert server.ask("runs") is None
        thread.join()


def test_a_benchmark_that_was_ended_early_leaves_its_document(tmp_path, monkeypatch):
    document = tmp_path / "benchmarks.md"
    document.write_text("as it was")
    ended = Report("soak", "Soak", {"soak_minutes": 3.0}, is_whole=False)
    monkeypatch.setattr("core.bench.soak.measure", lambda *_: ended)
    done = CliRunner().invoke(app, ["bench", "soak", "--out", str(document)])
    assert done.exit_code == 0
    assert "soak_minutes" in done.output
    assert document.read_text() == "as it was"


def test_sides_take_turns_and_the_median_counts():
    order = []
    take_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert percentile([3, 1, 2], 0.5) == 2
    assert percentile(list(range(100)), 0.95) == 95


def test_the_step_and_the_naive_step_do_the_same_work(tmp_path):
    logos = load_logos("builtin", 96, n_per_category=4).logos[:2]
    pictures = [Picture(logo.pixels) for logo in logos]
    prepared = [PreparedLogo(o.name, o.category, o.digest, p.features, p.defaults) for o, p in zip(logos, pictures, strict=True)]
    found = Report("throughput", "Throughput")
    throughput._steps(found, pictures, prepared, 1)
    throughput._similarity(found, pictures, 1)
    assert found.keys["step_over_vtracer"] > 0
    assert found.keys["naive_over_step"] > 0
    assert found.details["ssim_difference"] < 1e-5
    naive = throughput.NaiveStep(tmp_path)
    naive(pictures[0], DEFAULTS)
    assert (tmp_path / "out.svg").read_text().count("<path ") == pictures[0].by_defaults.trace.n_paths
    height, width = pictures[0].pixels.shape[:2]
    drawn = rasterizer().draw(pictures[0].by_defaults.trace.svg.encode(), width, height)
    ours = pictures[0].defaults
    assert throughput.scikit_colour(pictures[0].pixels, drawn) == pytest.approx(ours.colour, abs=0.1)
    assert throughput.scipy_gmsd(pictures[0].pixels, drawn) == pytest.approx(ours.edge, abs=0.01)


# benchmark -> the figures that two commits are compared by
FIGURES = {
    "throughput": {"step_over_vtracer", "step_over_vtracer_random", "naive_over_step", "pool_over_subproc", "rollout_efficiency"},
    "telemetry": {"telemetry_overhead"},
    "ingest": {"ingest_rows_per_s", "ingest_lag_p95_s"},
    "ui": {"live_chart_1m_s", "live_20_s", "compare_20_s", "refresh_kb", "runs_10k_s", "runs_10k_idle_share"},
    "heap": {"heap_growth_mb"},
    "optimize": {"optimize_over_pool", "results_over_defaults", "results_visibly_worse"},
    "ablation": {"curriculum.enabled_true_less_false"},
    "pictures": {"visual_gain", "bytes_share", "nodes_share", "visual_gain_worst_category", "visual_gain_degraded", "flip_worse_share"},
    "scale": {"ray_over_local", "simulated_rate_1000"},
    "soak": {
        "soak_minutes",
        "soak_server_slope",
        "soak_trainer_slope",
        "soak_browser_slope",
        "soak_heap_mb_per_hour",
        "soak_files_per_hour",
        "soak_threads_per_hour",
        "soak_uploads_per_minute",
        "soak_failures",
        "soak_page_errors",
        "soak_tracebacks",
        "soak_log_faults",
        "soak_index_faults",
        "soak_left_behind",
    },
    "fuzz": {"fuzz_executions", "fuzz_crashes", "fuzz_hangs", "fuzz_left_behind", "fuzz_memory_mb"},
}


def test_every_benchmark_has_a_short_form_in_the_suite():
    assert {*FIGURES, "chaos"} == set(NAMES)  # chaos: tests/test_endurance.py


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.timeout(400)) if name in ("soak", "ui") else name for name in FIGURES]
)
def test_a_benchmark_goes_its_whole_way(name, logo_folder, request, tmp_path):
    """The command as it is, with smaller numbers: a folder's logos, and the preset's built-in ones and variants of all."""
    if name in ("ui", "heap", "soak"):
        request.getfixturevalue("chromium")
    if name == "scale":
        need(find_spec("ray"), "Ray (pip install -r requirements-ray.txt)")
    command = [
        "bench",
        name,
        "--short",
        "--json",
        "--repeats",
        "1",
        "--seeds",
        "1",
        "--images",
        "builtin" if name == "pictures" else str(logo_folder),
    ]
    command += ["--out", str(tmp_path / "benchmarks.md")]
    if name == "scale":  # in a process of its own: Ray keeps the token of the first cluster that a process speaks to
        ended = core(*command, home=tmp_path / "home")
        assert ended.returncode == 0, ended.stderr
        told = ended.stdout
    else:
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output + str(done.exception)
        told = done.stdout
    found = json.loads(told.splitlines()[-1])
    assert FIGURES[name] == found.keys() - {"bench", "details", "machine"}
    assert found["bench"].startswith(name)
    assert all(math.isfinite(found[key]) for key in FIGURES[name])
    rows = re.findall(r"^\| (validation gain with .+?) \|", (tmp_path / "benchmarks.md").read_text(), re.MULTILINE)
    values = ("true", "false") if name == "ablation" else ()
    assert rows == [f"validation gain with curriculum.enabled = {value}" for value in values]


@pytest.mark.parametrize("preset", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_replay_knows_every_logo_that_a_preset_trains_on(preset, logo_folder):
    """The benchmark once ended with a KeyError for a variant's name: it only knew the logos of the set."""
    config = load_config(preset, [f"logos.path={logo_folder}", "logos.work_size=48", "logos.add_builtin=4"])
    names = [logo.name for logo in training_logos(config, load_set(config).of_split("train"))]
    assert any("variant" in name for name in names) == bool(config.logos.variants)
    assert any(name.startswith("gradient-") for name in names)
    replay, rng = Replay(config), random.Random(0)
    episodes = [
        made_up(EpisodeEnded, rng, logo=name, length=config.env.max_steps, params=list(DEFAULTS.as_dict().values()))
        for name in names[:: max(len(names) // 20, 1)]
    ]
    replay(episodes)
    assert replay.n_steps == len(episodes) * config.env.max_steps
    assert replay.seconds > 0


def test_machine_facts_name_what_was_measured_with():
    facts = report.machine_facts()
    assert {"processor", "cores", "memory", "system", "Python"} == set(facts)
    assert "vtracer" in facts["Python"]


def test_a_synthetic_episode_holds_what_a_training_writes(recorded):
    """Or the figures of ingest and console would be of something else."""
    run = recorded(total_timesteps=32)
    real = next(to_data(e.data) for e in read_events(run.events_file) if isinstance(e.data, EpisodeEnded))
    made = to_data(ingest.episode(random.Random(0), 1))
    assert {key: type(value) for key, value in real.items()} == {key: type(value) for key, value in made.items()}
    assert len(real["params"]) == len(made["params"])


def test_an_ablation_looks_at_all_values_before_it_trains_any(tmp_path, logo_folder):
    config = tmp_path / "tiny.yaml"
    config.write_text(to_yaml(tiny_config(logo_folder)))
    with pytest.raises(ConfigError, match="not a setting with two or more values"):
        ablation.measure(config, "env.max_steps=1", [], "1", str(logo_folder))
    with pytest.raises(ConfigError, match=r"env\.max_steps"):
        ablation.measure(config, "env.max_steps=1,0", [], "1", str(logo_folder))


def test_the_time_of_a_slow_training_is_not_rounded():
    """5.95 steps per second, which stable-baselines3 tells as 5."""
    learning = {"time/fps": 5.0, "time/time_elapsed": 516.0}
    events = [Event(1, 1, 0.0, 512, Metrics({"time/fps": 6.0, "time/time_elapsed": 85.0})), Event(2, 1, 1.0, 3072, Metrics(learning))]
    assert time_of_steps([*events, Event(3, 1, 2.0, 3072, Metrics({"time/update_s": 0.1}))]) == (3072, 516.0)
