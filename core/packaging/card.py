"""What a user should know of a model before trusting it: ``model_card.md``, and the same with Hugging Face's header as ``README.md``. Pure text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.config.config import RunConfig
from core.environment.spec import reward_formula
from core.models.registry import Entry, Interval, ModelRecord
from core.paths import program
from core.tracing.params import SPECS

LICENCE = "mit"


@dataclass(frozen=True)
class About:
    """What a card tells of: the entry in the registry, the config of its training, the versions of packages, the figures of what it must beat."""

    entry: Entry
    config: RunConfig
    versions: Mapping[str, str]
    has_sb3: bool = False

    @property
    def title(self) -> str:
        return self.entry.model_id if self.entry.record is not None else "the built-in model of Tracewright"

    @property
    def record(self) -> ModelRecord | None:
        return self.entry.record


def _figure(value: Interval) -> str:
    return f"{value.mean:+.3f} ({value.low:+.3f} to {value.high:+.3f})"


def _data(about: About) -> str:
    logos, record = about.config.logos, about.record
    source = (
        "only the built-in procedural logos"
        if logos.path == "builtin"
        else f"a folder of logos called {logos.path.rstrip('/').split('/')[-1]!r}"
    )
    more = f" and {logos.add_builtin} built-in ones per category" if logos.add_builtin and logos.path != "builtin" else ""
    count = f"; {record.n_logos} logos in all splits, digest `{record.data_digest}`" if record is not None and record.data_digest else ""
    return (
        f"{source[0].upper()}{source[1:]}{more}, {logos.variants} variants of each (rotated, cropped, recoloured, scaled down), longest side "
        f"{logos.work_size} pixels{count}. It was not trained on validation or test logos, nor on other logos of the same brands."
    )


def _gains(about: About) -> str:
    record = about.record
    if record is None or record.gain is None:
        return (
            "This model's gain is not recorded. Measure it on your own logos:\n\n"
            f"    {program()} evaluate --model FOLDER --images DIR --split all --methods default,single,policy --budgets 1"
        )
    rows = [("all", record.gain), *record.by_category.items()]
    table = "\n".join(f"| {name} | {value.n} | {_figure(value)} |" for name, value in rows)
    lines = [
        "Mean gain over VTracer's own defaults on validation logos, one conversion each, with its 95% bootstrap interval over logos "
        f"(evaluation at step {record.evaluated_step:,}):",
        "",
        "| category | logos | gain |",
        "| --- | --- | --- |",
        table,
        "",
        "0 is equal to the defaults; +0.69 is half the visual error (bytes count with a tenth of the weight).",
    ]
    if record.over_single is not None:
        is_better = "It is better than" if record.over_single.low > 0 else "It is **no better than**"
        lines.append(f"{is_better} the best single setting for all logos: {_figure(record.over_single)}, paired on the same logos.")
    small = [name for name, value in record.by_category.items() if value.n < 10]
    if small:
        lines.append(f"{', '.join(small)}: fewer than ten logos, so these figures are only hints.")
    return "\n".join(lines)


def _reproduce(about: About) -> str:
    record = about.record
    origin = (
        f"Checkpoint `{record.checkpoint}` of run `{record.source}`, step {record.step:,}.\n"
        if record is not None and record.is_run
        else ""
    )
    versions = ", ".join(f"{name} {version}" for name, version in about.versions.items())
    return f"""{origin}Write the `config` of `preprocess.json` to a YAML file, then run

    {program()} train --config FILE
    {program()} models register RUN

Seed {about.config.seed}; the same seed, config, logos and packages give the same model: {versions}."""


def _limits(about: About) -> str:
    return f"""- Logos and flat pictures; photographs are unlike anything in its training data. It was trained at {about.config.logos.work_size} pixels and traces at
  {about.config.pipeline.trace_size or about.config.logos.work_size}.
- It is better on average, not on every picture: look at what matters. `{program()} optimize` holds its results against VTracer's defaults.
- It knows VTracer {about.versions.get("vtracer", "1.0")}; another version may cluster colours otherwise. Results are the same to the byte with the versions in
  `requirements.txt` alone.
- `runner.py` finds ThorVG's library beside it, for the platform that this folder was made on; on another one `pip install thorvg-python` too.
- The runner passes over colour profiles, takes the first picture of a file, reads no SVG and minifies nothing."""


def card(about: About) -> str:
    """``model_card.md``."""
    note = about.record.note if about.record is not None else ""
    noted = f"\n\n> {' '.join(note.split())}" if note else ""
    ranges = "\n".join(f"| `{s.name}` | {s.low:g} to {s.high:g} | {s.default:g} | {s.unit} | {s.meaning} |" for s in SPECS)
    pickled = (
        "\n- `stable_baselines3.zip`: for stable-baselines3; a pickle, so open it only if you trust whoever gave it to you."
        if about.has_sb3
        else ""
    )
    return f"""# Model card: {about.title}{noted}

## What it is

A policy that chooses VTracer's {len(SPECS)} parameters for a logo from features of the picture and the outcome of VTracer's defaults on it. It was trained with
PPO by Tracewright. Reward: {reward_formula(about.config)}.

## Data

{_data(about)}

## Gain

{_gains(about)}

## Limits

{_limits(about)}

## Use

    pip install -r requirements.txt
    python runner.py logo.png folder-of-logos --out svgs

- `runner.py`: the whole pipeline, in one file: features, policy, sharpening, VTracer, fills, finish. `--help` tells its options.
- `policy.onnx`: observation (n, {{n_observation}}) to action (n, {len(SPECS)}) in [-1, 1]; `preprocess.json`: features in order, action 0, ranges, config.
- `outcomes.onnx`, where it is there: foresees outcomes, for searches with several conversions; the runner does without.
- `parameters.json`: the ranges below.{pickled}
- The folder is also what `{program()} optimize --model FOLDER` takes.

| parameter | range | VTracer's default | unit | meaning |
| --- | --- | --- | --- | --- |
{ranges}

## How to reproduce it

{_reproduce(about)}
"""


def hugging_face(about: About, text: str) -> str:
    """``README.md``: the card ``text`` below the header that Hugging Face reads."""
    lines = ["---", f"license: {LICENCE}", "library_name: onnx", "pipeline_tag: reinforcement-learning"]
    lines += [
        "tags:",
        *(f"- {tag}" for tag in ("tracewright", "vtracer", "svg", "logos", "vectorization", "ppo", "reinforcement-learning")),
    ]
    record = about.record
    if record is not None and record.gain is not None:
        results = [("validation logos", record.gain), *((f"validation logos: {name}", value) for name, value in record.by_category.items())]
        lines += ["model-index:", f"- name: {_quoted(record.model_id)}", "  results:"]
        for name, value in results:
            lines += [
                "  - task:",
                "      type: reinforcement-learning",
                "      name: choice of tracing parameters",
                "    dataset:",
                "      type: logos",
                f"      name: {_quoted(name)}",
                "    metrics:",
                "    - type: mean_reward",
                f"      value: {_quoted(f'{value.mean:.3f} ({value.low:.3f} to {value.high:.3f})')}",
                "      name: gain over VTracer's defaults, mean and 95% interval",
            ]
    return "\n".join([*lines, "---", "", text])


def _quoted(value: Any) -> str:
    """A scalar that YAML reads back as it is: JSON's strings are YAML's."""
    return json.dumps(str(value), ensure_ascii=False)
