"""The files in docs/cluster: the pinned version of Ray, a token everywhere, and Ray's own schema where Ray is installed."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import yaml

from tests.support.documents import DOCS
from tests.support.paths import ROOT
from tests.support.requirements import need

PINNED = re.search(r"^ray==(\S+)$", (ROOT / "requirements-ray.txt").read_text(), re.MULTILINE)[1]


def read(name):
    return yaml.safe_load((DOCS / "cluster" / name).read_text(encoding="utf-8"))


def test_the_manifest_has_the_pinned_ray_and_a_token():
    spec = read("kuberay.yaml")["spec"]
    assert spec["rayVersion"] == PINNED
    assert spec["authOptions"] == {"mode": "token"}
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    groups = [spec["headGroupSpec"], *spec["workerGroupSpecs"]]
    assert len({c["image"] for group in groups for c in group["template"]["spec"]["containers"]}) == 1


def test_the_cloud_file_starts_ray_with_a_token_everywhere():
    cluster = read("aws.yaml")
    starts = [c for key in ("head_start_ray_commands", "worker_start_ray_commands") for c in cluster[key] if "ray start" in c]
    (variables,) = [c for c in cluster["setup_commands"] if "/etc/profile.d/tracewright.sh" in c]
    assert "RAY_AUTH_MODE=token" in variables
    assert "RAY_USAGE_STATS_ENABLED=0" in variables
    assert len(starts) == 2
    assert all(start.startswith(". /etc/profile.d/tracewright.sh && ") for start in starts)


def test_the_cloud_file_fits_rays_schema():
    found = find_spec("ray")
    need(found and found.origin, "Ray (pip install -r requirements-ray.txt)")
    assert found is not None
    assert found.origin is not None
    schema = Path(found.origin).parent / "autoscaler" / "ray-schema.json"
    jsonschema.validate(read("aws.yaml"), json.loads(schema.read_text(encoding="utf-8")))
