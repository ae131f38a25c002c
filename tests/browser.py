"""A tab of headless Chromium, with all that the page in it said."""

from __future__ import annotations

from typing import Any

from tests.waiting import PATIENCE

SCREENS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 860}},
    "dark": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 780}, "is_mobile": True, "has_touch": True},
}


class Tab:
    """One tab in a context of its own; `said` has every line, error and dialog."""

    def __init__(self, browser: Any, **settings: Any) -> None:
        self.context = browser.new_context(**settings)
        self.context.set_default_timeout(1000 * PATIENCE)
        self.tab = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[Any] = []
        self.tab.on("console", lambda m: self.said.append(f"{m.type}: {m.text}"))
        self.tab.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.tab.on("dialog", lambda dialog: self.said.append("error: a dialog"))
        self.context.on("request", lambda request: self.asked.append(request))
