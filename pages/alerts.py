"""Findings and milestones of all runs, newest first."""

from __future__ import annotations

import time
from datetime import datetime

import streamlit as st

from core.config.installation import SEVERITIES
from core.notifications.notices import last_read_ts, mark_read
from core.reports import kept
from core.reports.reporter import TRIGGER_OF
from pages.server import kept_reports, start_document
from pages.views import tables
from pages.views.access import acts
from pages.views.buttons import button
from pages.views.live import health
from pages.views.shell import begin, notices, path_of
from pages.views.text import plain

PAGE_SIZE = 30
console = begin("Alerts")


@acts("alerts.read")
def mark_all() -> None:
    mark_read(console.home, time.time())


names = tables.all_names(console.home)
found = notices(console)
seen = last_read_ts(console.home)
reports = kept.by_event(console.home)
n_new = sum(notice.ts > seen for notice in found)

with st.container(horizontal=True, vertical_alignment="bottom"):
    at_least = st.segmented_control(
        "Show",
        SEVERITIES,
        default="warning",
        format_func=lambda s: f"{s} and above" if s != "severe" else s,
        key="at_least",
        bind="query-params",
        required=True,
    )
    text = st.text_input("Find", placeholder="run or text", key="find", bind="query-params", width=240)
    if button("Mark all as read", does="alerts.read", icon=":material/done_all:", disabled=not n_new):
        mark_all()
        st.rerun()
    st.page_link(path_of("settings"), label="Notification settings", icon=":material/send:")

floor = SEVERITIES.index(at_least)
shown = [n for n in found if SEVERITIES.index(n.severity) >= floor]
shown = [n for n in shown if text.lower() in f"{names.get(n.run_id, '')} {n.run_id} {n.title} {n.text}".lower()]
if not shown:
    st.info(
        "No alerts yet. Findings and milestones of your runs will appear here."
        if not found
        else "No matching alerts. Clear the search or show lower severities; milestones are listed under info."
    )
n_pages = max((len(shown) - 1) // PAGE_SIZE + 1, 1)
page = st.pagination(n_pages, key="page") if n_pages > 1 else 1
for notice in shown[(page - 1) * PAGE_SIZE : page * PAGE_SIZE]:
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.badge(notice.severity, color=health.COLOURS[notice.severity], icon=health.ICONS[notice.severity])
            st.markdown(f"**{plain(notice.title)}**")
            if notice.ts > seen:
                st.badge("new", color="violet")
            tab = {"tab": "Health"} if notice.kind in ("alert", "action") else {}
            st.page_link(path_of("live"), label=plain(names.get(notice.run_id, notice.run_id)), query_params={"run": notice.run_id} | tab)
            if report := reports.get((notice.run_id, TRIGGER_OF.get(notice.kind, ""), notice.ts)):
                url = f"{start_document.base_path()}{kept_reports.PATH}/{report}"
                st.link_button("Report", url, icon=":material/summarize:", type="tertiary")
            st.caption(f"step {notice.step:,} · {datetime.fromtimestamp(notice.ts):%b %d, %H:%M:%S}")
            if notice.severity == "info":
                st.caption(plain(notice.text))
        if notice.severity != "info":
            st.caption(plain(notice.text))
