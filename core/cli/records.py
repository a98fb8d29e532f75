"""``audit`` and ``licences``: what people did in the console, and what the console is made of."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from core import bill
from core.access import audit as trail
from core.cli.common import Json, clear_errors, result
from core.files import write_aside
from core.paths import runs_home


def audit(
    limit: Annotated[int, typer.Option(help="Maximum number of entries, newest first.", min=1, max=1_000_000)] = 50,
    as_json: Json = False,
) -> None:
    """List who did what in the console: the audit trail, newest first."""
    with clear_errors():
        found = trail.read(runs_home(), limit)

        def text() -> None:
            for entry in found.entries:
                when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.ts))
                print(f"{when}  {entry.outcome:<8} {entry.role:<10} {entry.who:<28} {entry.action:<18} {entry.target}".rstrip())
            if found.n_bad:
                print(f"{found.n_bad} lines of {trail.FILE} can't be read")
            if not found.entries:
                print("no action is recorded")

        result({"entries": [entry.as_dict() for entry in found.entries], "n_bad": found.n_bad}, as_json, text)


def licences(
    sbom: Annotated[Path | None, typer.Option(help="Write a software bill of materials here, as CycloneDX JSON.", dir_okay=False)] = None,
    as_json: Json = False,
) -> None:
    """List the licences of all packages that Tracewright runs on. Exit code 1 where one is GPL or AGPL, or unknown."""
    with clear_errors():
        parts = bill.parts()
        refused = [part for part in parts if part.verdict == "refused"]
        if sbom is not None:
            write_aside(sbom, bill.cyclonedx(parts))

        def text() -> None:
            for part in parts:
                print(f"{part.name:<32} {part.version:<14} {part.licence}" + (f"  ({part.note})" if part.note else ""))
            print(f"{len(parts)} packages, {len(refused)} refused" + (f": {', '.join(part.name for part in refused)}" if refused else ""))

        data = {"packages": [part.as_dict() for part in parts], "refused": [part.name for part in refused], "sbom": sbom and str(sbom)}
        result(data, as_json, text)
    if refused:
        raise typer.Exit(1)
