"""torch's optimizers without torch's compiler.

Some of their methods are wrapped so that programs which compile their models skip them, and the wrappers import the whole compiler when
they are first called: a second of CPU at the start of every training, for nothing here. Guarantee: the methods compute and
save the same; a torch that wraps them in another way is left unchanged.
"""

from __future__ import annotations

import torch
from torch.optim import Adam, Optimizer

_UNUSED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")


def leave_out_compiler() -> None:
    """Unwrap the methods, once per process and before the first optimizer is made."""
    for name in _UNUSED:
        method = getattr(Optimizer, name)
        setattr(Optimizer, name, getattr(method, "__wrapped__", method))
    step = getattr(Adam.step, "__wrapped__", None)
    if step is not None and not hasattr(Adam.step, "hooked"):
        Adam.step = torch.no_grad()(step)  # type: ignore[method-assign]
