"""What Linux's allocator gives back to the system, each measured in a process of its own: in one that has run for long, blocks fill gaps."""

import platform
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries give memory back by themselves, or not at all")

HEAD = """
import psutil
from core.machine import MB, give_back_memory, keep_memory_whole

def used():
    return psutil.Process().memory_info().rss
"""

BETWEEN = """
blocks = [bytes(4096) for _ in range(40_000)]
kept, full = blocks[::40], used()
del blocks
assert give_back_memory()
print((full - used()) / MB, len(kept))
"""

LARGE = """
bytearray(20 * MB)  # after which the allocator by itself would keep all that are smaller
assert keep_memory_whole()
blocks, small = [], []
for _ in range(100):
    blocks.append(bytearray(MB))
    small.append([bytes(1000) for _ in range(50)])
full = used()
del blocks
print((full - used()) / MB, len(small))
"""


@pytest.mark.parametrize(
    ("code", "least_mb", "n_kept"), [(BETWEEN, 60, 1000), (LARGE, 80, 100)], ids=["between what is used", "large blocks"]
)
def test_what_is_freed_goes_back_to_the_system(code, least_mb, n_kept):
    done = subprocess.run([sys.executable, "-c", HEAD + code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    freed_mb, n = done.stdout.split()
    assert float(freed_mb) > least_mb
    assert int(n) == n_kept
