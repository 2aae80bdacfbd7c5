"""What the web server does besides showing pages: headers, limits at the door, health and metrics.

``app.py`` hands it to ``st.App``. Nothing here runs for a click on a page, and nothing imports torch or a model
before somebody asks for the app's health.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Route

from core.runtime.logs import set_up
from core.runtime.threads import Watch
from core.settings import get_settings
from core.ui.messages import show_failure, speak_for_streamlit
from core.ui.server.door import Door
from core.ui.server.limits import Visitors
from core.ui.server.watch import live, metrics, ready


def server_parts() -> dict[str, Any]:
    """Routes, middleware, start and end of a script in an error, for ``st.App``.

    Raises:
        pydantic.ValidationError: an option holds a value of the wrong kind.
    """
    speak_for_streamlit()
    settings = get_settings()
    base = "/" + str(st.get_option("server.baseUrlPath")).strip("/")
    base = base.rstrip("/")
    visitors = Visitors(settings.sessions_per_address, settings.openings_per_minute)

    @asynccontextmanager
    async def lifespan(_app: st.App) -> AsyncIterator[None]:
        # Not before: the web server sets its own loggers up while it starts.
        set_up(settings.log_format)
        threads = Watch()
        threads.begin()
        yield
        threads.end()

    return {
        "routes": [
            Route(f"{base}/health/live", live),
            Route(f"{base}/health/ready", ready),
            Route(f"{base}/metrics", metrics(visitors)),
        ],
        "middleware": [Middleware(Door, visitors=visitors, settings=settings, base=base)],
        "lifespan": lifespan,
        # What fails around a page, such as its frame; the page's own errors don't come so far.
        "on_script_error": show_failure,
    }
