"""What every test stands on."""

import signal

import pytest


@pytest.fixture(scope="session", autouse=True)
def _interrupts_work() -> None:
    """A job that a shell put in the background ignores SIGINT, and so would every process that a test starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
