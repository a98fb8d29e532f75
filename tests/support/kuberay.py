"""KubeRay's own schema of a RayCluster, as far as docs/cluster/kuberay.yaml uses it.

The whole schema has 0.9 MB, nearly all of it Kubernetes' pods. ``kuberay.json`` is made of it by ``python -m tests.support.kuberay CRD.yaml``, where
CRD.yaml is helm-chart/kuberay-operator/crds/ray.io_rayclusters.yaml of https://github.com/ray-project/kuberay (Apache-2.0) at the tag below. A
field that is not in it is refused, as ``kubectl apply`` warns of it: make it again after the manifest has a new one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tests.support.documents import DOCS

TAG = "v1.5.1"
FILE = Path(__file__).with_suffix(".json")
_DROPPED = ("properties", "items", "description", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type")


def manifest() -> dict[str, Any]:
    return dict(yaml.safe_load((DOCS / "cluster" / "kuberay.yaml").read_text(encoding="utf-8")))


def schema() -> dict[str, Any]:
    """A JSON Schema."""
    return dict(json.loads(FILE.read_text(encoding="utf-8"))["schema"])


def part_of(whole: dict[str, Any], used: Any) -> dict[str, Any]:
    """Of a schema what says something of ``used``, and the plain fields beside it."""
    found = {key: value for key, value in whole.items() if key not in _DROPPED}
    if "items" in whole:
        found["items"] = part_of(whole["items"], _together(used if isinstance(used, list) else []))
    if "properties" in whole:
        names = used if isinstance(used, dict) else {}
        fields = whole["properties"].items()
        found["properties"] = {k: part_of(v, names.get(k)) for k, v in fields if k in names or v.get("type") not in ("object", "array")}
        found["additionalProperties"] = False
    return found


def _together(several: Iterable[Any]) -> dict[str, Any]:
    """All fields that any of several mappings has, at every depth."""
    found: dict[str, Any] = {}
    for one in several:
        for key, value in one.items() if isinstance(one, dict) else ():
            before = found.get(key)
            if isinstance(before, dict) and isinstance(value, dict):
                found[key] = _together([before, value])
            elif isinstance(before, list) and isinstance(value, list):
                found[key] = before + value
            else:
                found[key] = value
    return found


if __name__ == "__main__":
    crd = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))
    (version,) = [found for found in crd["spec"]["versions"] if found["name"] == "v1"]
    made = part_of(version["schema"]["openAPIV3Schema"], manifest())
    about = f"Part of KubeRay {TAG}'s ray.io_rayclusters.yaml, Apache-2.0; made by tests/support/kuberay.py"
    FILE.write_text(json.dumps({"about": about, "schema": made}, indent=1) + "\n", encoding="utf-8")
