"""A headless Chromium that talks to this machine alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from loop.browser import QUIET, find_chromium


def chromium() -> str:
    """Return the path of a Chromium, or skip; continuous integration must have one."""
    found = find_chromium()
    if found is None:
        assert os.environ.get("CI") != "true", "no chromium: apt-get install chromium"
        pytest.skip("no chromium on this machine (apt-get install chromium)")
    return found


@contextmanager
def open_browser() -> Iterator[Any]:
    """Start the browser and close it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        yield browser
        browser.close()
