"""torch's optimizers with its compiler left out: the same numbers, and the compiler is not imported."""

import json
import subprocess
import sys

from tests.support.paths import ROOT

STEPS = """
import json, sys, torch
if sys.argv[1] == "without":
    from core.agents.optimizers import leave_out_compiler
    leave_out_compiler()
    leave_out_compiler()  # once more changes nothing
torch.manual_seed(0)
found = []
for optimizer, settings in ((torch.optim.Adam, {"eps": 1e-5}), (torch.optim.AdamW, {"weight_decay": 1e-2})):
    layer = torch.nn.Linear(8, 8)
    def steps(made, n):
        for _ in range(n):
            made.zero_grad()
            layer(torch.randn(16, 8)).square().sum().backward()
            made.step()
    first = optimizer(layer.parameters(), lr=1e-2, fused=True, **settings)
    steps(first, 5)
    second = optimizer(layer.parameters(), lr=1e-2, fused=True, **settings)
    second.load_state_dict(first.state_dict())
    steps(second, 5)
    found += [layer.weight.tolist(), second.state_dict()["state"][0]["exp_avg"].tolist(), layer.weight.requires_grad]
print(json.dumps([found, "torch._dynamo" in sys.modules]))
"""


def test_without_the_compiler_the_numbers_are_the_same():
    (plain, has_compiler), (without, has_none) = (
        json.loads(subprocess.run([sys.executable, "-c", STEPS, how], cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        for how in ("with", "without")
    )
    assert plain == without
    assert has_compiler
    assert not has_none
