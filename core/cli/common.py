"""What all commands share: options, how results are printed, how errors become one clear line."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer

from core.errors import CheckpointError, ConfigError, LogosError, RunError, SourceError, StudyError, TracewrightError

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object as the last line.")]
RunName = Annotated[str, typer.Argument(metavar="RUN", help="A run's ID or directory.")]
Cluster = Annotated[
    str, typer.Option("--ray", metavar="ADDRESS", help="Convert on this Ray cluster (HOST:PORT, or auto) instead of this machine.")
]


@contextmanager
def clear_errors() -> Iterator[None]:
    """Bad input: one clear line on stderr, exit code 2. Anything else that fails: its reason, exit code 1."""

    try:
        yield
    except (ConfigError, RunError, LogosError, SourceError, StudyError, CheckpointError) as error:
        fail(error, 2)
    except TracewrightError as error:
        fail(error, 1)
    except OSError as error:
        fail(RuntimeError(f"{error.filename or ''}: {error.strerror or error}".lstrip(": ")), 1)


def fail(error: Exception, code: int) -> NoReturn:
    print("error: " + str(error), file=sys.stderr)
    raise typer.Exit(code)


def result(data: dict[str, Any], as_json: bool, text: Callable[[], None]) -> None:
    """Print a command's result, as JSON or as ``text`` does; JSON has no infinite numbers, so they are null there."""
    if as_json:
        print(json.dumps(_finite(data), default=str, allow_nan=False), flush=True)
    else:
        text()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
