"""Nodes of a real Ray cluster on this machine: their processes, one that goes, and what is killed while it uses them."""

import time
from typing import Any

import psutil

# Optimizes a folder on a cluster (arguments: folder, home, folder of the results, address) and waits for its end when more than half is done
TO_BE_KILLED = """
import sys
from pathlib import Path
from core.agents.loading import load_model
from core.evaluation.files import find_pictures
from core.evaluation.optimize import Extras, optimize

folder, home, out = map(Path, sys.argv[1:4])

def progress(what, n_done, n_all):
    if n_done > 0.6 * n_all:
        print("there", flush=True)
        sys.stdin.read()

optimize(find_pictures([folder])[0], load_model("default", home), 2, "", 48, out, home, progress, extras=Extras(cluster=sys.argv[4], group=3))
"""


def actors(n: int | None = None) -> list[psutil.Process]:
    """The processes of ``n`` nodes, or of all; those of a pool that was closed may take a moment to end."""
    deadline = time.monotonic() + 20
    while True:
        found = [p for p in psutil.process_iter(["cmdline"]) if "".join((p.info["cmdline"] or [])[:1]).startswith("ray::NodeWorkers")]
        if n is None or len(found) == n:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


def lose_a_node(nodes: Any) -> None:
    """One goes without a word."""
    nodes.remove_node(nodes.list_all_nodes()[-1], allow_graceful=False)
