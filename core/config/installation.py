"""The settings of an installation rather than of a run: resources for the queue, notifications, reports and pages.

They are kept beside the runs in ``settings.yaml``, readable by its owner only, since notification addresses contain
passwords.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from core.config.text import problems, read_yaml
from core.errors import ConfigError
from core.files import write_aside

SETTINGS_FILE = "settings.yaml"
Severity = Literal["info", "warning", "severe"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "severe")


def _absolute(path: str) -> str:
    if not os.path.isabs(path) or "\0" in path:
        raise ValueError(f"{path!r} is not an absolute path, for example /data/logos")
    return path


Folder = Annotated[str, AfterValidator(_absolute)]


def _field(default: Any, help: str, *, unit: str = "", **limits: Any) -> Any:
    return Field(default, description=help, json_schema_extra={"unit": unit, "basic": False}, **limits)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class QueueSettings(_Section):
    """What all runs together may use."""

    cores: int = _field(0, "Maximum number of workers over all runs; 0 means one per core of this machine.", unit="workers", ge=0, le=4096)
    reserve_mb: float = _field(500.0, "Memory to keep free when a run is started.", unit="MB", ge=0, le=1_000_000)


class NotifySettings(_Section):
    """Notifications, in addition to the bell in the console."""

    urls: list[str] = _field(
        [],
        "Addresses to notify, in the format of apprise, for example mailto://user:password@example.com, or secret:NAME for one that the environment or .streamlit/secrets.toml holds.",
    )
    at_least: Severity = _field("warning", "Lowest severity that is sent.")
    milestones: bool = _field(True, "Notify when a run ends, passes a stage or reaches a new best.")
    summaries: Literal["none", "hourly", "daily", "weekly"] = _field("none", "How often to send a summary of all runs.")
    pause_minutes: float = _field(
        30.0, "Minimum time between repeat alerts: notifications with the same cause from the same run.", unit="minutes", ge=0, le=10_080
    )


class ReportSettings(_Section):
    """Automatic reports, made by the console or ``runs serve``."""

    at_end: bool = _field(True, "Make a report when a run or a study ends.")
    at_stages: bool = _field(True, "Make a report when a curriculum stage ends.")
    summaries: Literal["none", "daily", "weekly", "both"] = _field("both", "How often to make a summary report of all runs.")
    keep: int = _field(100, "Maximum number of automatic reports to keep; the oldest are deleted first.", unit="reports", ge=1, le=10_000)


class AccessSettings(_Section):
    """Who may do what, once sign-in is set up in .streamlit/secrets.toml; without sign-in nobody is asked, and these do nothing.

    An entry is an address that the provider has verified, a domain as @example.com, or the provider's own identifier as sub:1234.
    """

    admins: list[str] = _field([], "People who may do everything, the settings included: an address, @domain, or sub:identifier.")
    trainers: list[str] = _field([], "People who may start, change and delete runs, and whatever belongs to them.")
    viewers: list[str] = _field([], "People who may look and download.")
    everyone: Literal["nobody", "viewer"] = _field("nobody", "What anybody else is whom the provider signs in.")
    session_hours: float = _field(12.0, "After how long a person must sign in again.", unit="hours", gt=0, le=720)
    actions_per_minute: int = _field(120, "Maximum number of actions per person and minute.", unit="actions", ge=1, le=100_000)
    upload_mb_per_hour: float = _field(4000.0, "Maximum size of uploads per person and hour.", unit="MB", gt=0, le=1_000_000)


class PageSettings(_Section):
    """What pages may read, beside the home and the folders of runs that were started here."""

    folders: list[Folder] = _field(
        [], "Folders of pictures that pages may read, each with all below it: absolute paths on the machine that runs the console."
    )


class Settings(_Section):
    """All settings of the installation."""

    queue: QueueSettings = Field(default_factory=QueueSettings)
    notify: NotifySettings = Field(default_factory=NotifySettings)
    reports: ReportSettings = Field(default_factory=ReportSettings)
    access: AccessSettings = Field(default_factory=AccessSettings)
    pages: PageSettings = Field(default_factory=PageSettings)


def read_settings(home: Path) -> Settings:
    """The settings of a home directory; the defaults if it has no settings file.

    Raises:
        ConfigError: the file can't be read, or is not valid.
    """
    path = home / SETTINGS_FILE
    return check_settings(read_yaml(path), str(path)) if os.path.lexists(path) else Settings()


def check_settings(data: dict[str, Any], source: str = "settings") -> Settings:
    """Validate plain data.

    Raises:
        ConfigError: with one line per problem.
    """
    try:
        return Settings.model_validate(data)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{source}: {text}" for _, text in problems(error, Settings))) from error


def write_settings(home: Path, settings: Settings) -> None:
    write_aside(home / SETTINGS_FILE, yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False).encode(), mode=0o600)
