"""Write the page on reliability after a full run."""

import os

import pytest


def pytest_sessionfinish(session: pytest.Session) -> None:
    if page := os.environ.get("TENSORIZE_RELIABILITY"):
        from reliability import write

        write(page)
