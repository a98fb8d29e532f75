"""What the runner uses in the place of Pillow and SciPy gives what they give; and the file that the runner is made as holds nothing else."""

from __future__ import annotations

import ast
import sys

import numpy as np
import pytest
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from core.packaging import bundle, stand_ins


@pytest.mark.parametrize(
    ("size", "to"),
    [
        ((400, 300), (256, 192)),
        ((97, 1200), (21, 256)),
        ((100, 400), (50, 300)),
        ((100, 400), (50, 299)),
        ((64, 64), (64, 8)),
        ((33, 40), (12, 40)),
        ((5000, 9), (256, 1)),
    ],
)
@pytest.mark.parametrize("n_channels", [3, 4])
def test_pictures_are_resized_as_pillow_does_to_the_bit(size, to, n_channels):
    rng = np.random.default_rng(size[0])
    pixels = rng.integers(0, 256, (size[1], size[0], n_channels), dtype=np.uint8)
    pixels[: size[1] // 2] = np.where(pixels[: size[1] // 2] > 128, 255, 0)  # hard edges overshoot
    wanted = np.asarray(Image.fromarray(pixels).resize(to, Image.Resampling.LANCZOS))
    found = stand_ins.Image.fromarray(pixels).resize(to, stand_ins.Image.Resampling.LANCZOS)
    assert found.dtype == np.uint8
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("n_edges", [0, 1, 20, 60, 300])
def test_parts_of_a_graph_are_numbered_as_scipy_does(n_edges):
    rng = np.random.default_rng(n_edges)
    one, other = rng.integers(0, 100, (2, n_edges)).astype(np.int32)
    given = (np.ones(n_edges, np.int8), (one, other))
    n_wanted, wanted = connected_components(coo_matrix(given, shape=(100, 100)), directed=False)
    n_found, found = stand_ins.connected_components(stand_ins.coo_matrix(given, shape=(100, 100)), directed=False)
    assert n_found == n_wanted
    assert found.dtype == wanted.dtype
    assert np.array_equal(found, wanted)


def test_a_long_chain_in_any_order_is_one_part():
    order = np.random.default_rng(1).permutation(5000)
    n_found, found = stand_ins.connected_components(stand_ins.coo_matrix((None, (order[1:], order[:-1])), shape=(5000, 5000)))
    assert n_found == 1
    assert not found.any()


def test_the_runner_imports_the_standard_library_and_four_packages_alone():
    tops = set()
    for module in bundle.modules():
        for node in ast.walk(ast.parse(bundle.source_of(module))):
            if isinstance(node, ast.Import):
                tops |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                tops.add((node.module or "").split(".")[0])
    assert tops - set(sys.stdlib_module_names) == {"core", "numpy", "cv2", "onnxruntime"}  # vtracer is loaded by its name
    compile(bundle.bundle(), "runner.py", "exec")


def test_a_module_that_imports_anything_else_is_refused_when_the_file_is_made(monkeypatch, tmp_path):
    module = tmp_path / "core" / "odd.py"
    module.parent.mkdir()
    module.write_text("import pandas\n", encoding="utf-8")
    monkeypatch.setattr(bundle, "PROJECT", tmp_path)
    with pytest.raises(bundle.BundleError, match=r"core.odd imports pandas, which the runner does without"):
        bundle.modules("core.odd")
