"""The optional packages that other trackers need: imported where they are used, with one clear message where one is absent."""

from __future__ import annotations

import importlib
from types import ModuleType

from core.errors import TrackerError
from core.paths import how_to_install


def need(package: str, module: str = "") -> ModuleType:
    """A module of an optional package, the package itself without ``module``.

    Raises:
        TrackerError: the package is not installed, or does not load; with what to do.
    """
    try:
        return importlib.import_module(module or package)
    except ImportError as error:
        raise TrackerError(
            f"the package {package} is not installed or does not load ({error}); install it with {how_to_install('trackers')}"
        ) from error
