"""What a fresh process imports."""

import subprocess

from tests.support.paths import ROOT


def test_the_pages_start_without_torch():
    code = "import sys, pages.views.actions, pages.server.service, core.cli.app; print('torch' in sys.modules)"
    import sys

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
