"""What holds for every test: how hard to fuzz, a git without settings, and signals that work."""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Chosen with --hypothesis-profile. A slow machine is no failure, so no example has a deadline.
# `everyday` is what continuous integration runs too: each run draws other examples, so that many
# runs search as far as one thorough one, and none of them waits for it.
settings.register_profile("everyday", max_examples=20, deadline=None)
settings.register_profile("thorough", max_examples=300, deadline=None)
settings.load_profile("everyday")


@pytest.fixture(scope="session", autouse=True)
def _git_without_a_person() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("GIT_")]:
            patch.delenv(name)
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        yield


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> Iterator[None]:
    """A shell has its background commands ignore SIGINT, nohup SIGHUP; tests would pass it on."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    if before[signal.SIGINT] is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if before[signal.SIGHUP] is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
