"""The files in docs/cluster: the pinned version of Ray, a token everywhere, KubeRay's own schema, and Ray's where Ray is installed."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.support import kuberay
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


def test_the_manifest_fits_kuberays_schema():
    jsonschema.validate(kuberay.manifest(), kuberay.schema())
    assert kuberay.TAG.removeprefix("v") in (DOCS / "scale.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("group", "change"),
    [
        ("headGroupSpec", {"rayStartParams": {"num-cpus": 0}}),
        ("headGroupSpec", {"template": {}, "tmplate": {}}),
        ("authOptions", {"mode": "key"}),
    ],
)
def test_what_kubernetes_would_refuse_does_not_fit(group, change):
    manifest = kuberay.manifest()
    manifest["spec"][group] |= change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(manifest, kuberay.schema())


def test_a_cluster_has_a_fixed_number_of_nodes():
    """No autoscaler hears of conversions that wait: actors start on nodes that are there."""
    spec, cloud = kuberay.manifest()["spec"], read("aws.yaml")
    assert not spec.get("enableInTreeAutoscaling")
    assert all(group["minReplicas"] == group["replicas"] == group["maxReplicas"] for group in spec["workerGroupSpecs"])
    kinds = cloud["available_node_types"]
    assert sum(kind.get("min_workers", 0) for kind in kinds.values()) == cloud["max_workers"]


def test_the_image_has_nothing_that_git_ignores():
    """Keys above all."""
    left_out = {line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line and not line.startswith("#")}
    assert ignored | {".git"} <= left_out


def test_the_cloud_file_copies_no_secrets_to_the_nodes():
    left_out = read("aws.yaml")["rsync_exclude"]
    assert "/.streamlit/secrets.toml" in left_out
    assert all(path.startswith("/") for path in left_out)  # else it names folders of the product too, such as core/runs


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
