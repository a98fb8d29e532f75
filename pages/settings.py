"""Settings of this installation: resources for all runs, automatic reports, notifications, and what pages may read."""

from __future__ import annotations

from typing import Any

import streamlit as st

from core.config.installation import SETTINGS_FILE, Settings, check_settings, read_settings, write_settings
from core.errors import ConfigError
from core.notifications import addresses
from pages.server import identity
from pages.views import forms
from pages.views.access import acts, may
from pages.views.buttons import pressed
from pages.views.shell import begin
from pages.views.text import plain

PEOPLE = {"admins": "Administrators", "trainers": "Trainers", "viewers": "Viewers"}
console = begin("Settings")
if not may("settings.save"):  # addresses of notifications hold passwords
    st.info("Only administrators see and change the settings of the installation.", icon=":material/lock:")
    st.stop()
try:
    current = read_settings(console.home)
except ConfigError as error:
    st.error(plain(f"The settings file is not valid, so the defaults are shown: {error}"))
    current = Settings()
data: dict[str, Any] = current.model_dump(mode="json")
st.caption(f"Stored in `{console.home.name}/{SETTINGS_FILE}`, readable only by you. They also apply to the command line.")


@acts("settings.save", is_drawn=True)
def save(wanted: Settings) -> None:
    try:
        write_settings(console.home, wanted)
    except OSError as error:
        st.error(plain(f"The settings could not be written: {error}"))
        return
    console.scheduler.wake()
    st.toast("Saved")
    st.rerun()


@acts("settings.test", is_drawn=True)
def send_test() -> None:
    with st.spinner("Sending …"):
        problems = [
            problem for url in current.notify.urls if (problem := addresses.send(url, "Tracewright", "Test message: notifications work."))
        ]
    for problem in problems:
        st.error(problem)
    if not problems:
        st.success(f"Sent to {len(current.notify.urls)} addresses.")


left, right = st.columns(2, gap="large")
with left:
    st.subheader("Queue")
    forms.model_fields(Settings, "queue", data, "settings")
    st.subheader("Reports")
    st.caption("Made automatically by the console or `runs serve`; see the Reports page.")
    forms.model_fields(Settings, "reports", data, "settings")
    st.subheader("Pages")
    st.caption(
        "Pages read pictures from the home, from folders of runs that were started here, and from these. One absolute path per line."
    )
    folders = st.text_area("Folders", "\n".join(current.pages.folders), key="set.folders", height=80, placeholder="/data/logos")
    data["pages"]["folders"] = [line.strip() for line in folders.splitlines() if line.strip()]
with right:
    st.subheader("Notifications")
    st.caption(
        "Mail, Slack, desktop, webhooks: one address per line, in the format of [apprise](https://github.com/caronc/apprise/wiki), "
        "for example `mailto://user:password@example.com` or `slack://token/#channel`. `secret:NAME` takes the address from the environment or `.streamlit/secrets.toml`, and keeps it out of "
        "the settings file. Without an address, nothing is sent."
    )
    lines = st.text_area("Addresses", "\n".join(current.notify.urls), key="set.urls", height=110, placeholder="json://localhost:8080/hook")
    data["notify"]["urls"] = [line.strip() for line in lines.splitlines() if line.strip()]
    forms.model_fields(Settings, "notify", data, "settings", skip=("urls",))

if identity.way() == "sign-in":
    st.subheader("Access")
    st.caption("Who may do what: one address, `@domain` or `sub:identifier` per line. The table of roles is in docs/access.md.")
    for column, (role, title) in zip(st.columns(len(PEOPLE)), PEOPLE.items(), strict=True):
        people = column.text_area(title, "\n".join(data["access"][role]), key=f"set.{role}", height=110)
        data["access"][role] = [line.strip() for line in people.splitlines() if line.strip()]
    forms.model_fields(Settings, "access", data, "settings", skip=tuple(PEOPLE))

try:
    wanted: Settings | None = check_settings(data)
except ConfigError as error:
    wanted = None
    st.error("Not saved:\n\n" + "\n".join(f"- {line.removeprefix('settings: ')}" for line in str(error).splitlines()))

with st.container(horizontal=True):
    if pressed("Save", type="primary", icon=":material/save:", disabled=wanted is None or wanted == current) and wanted is not None:
        save(wanted)
    if pressed("Send a test message", icon=":material/send:", disabled=not current.notify.urls, help="Sends one to every saved address."):
        send_test()
