"""A signal breaks off what may be broken off, once, and waits elsewhere."""

from __future__ import annotations

import os
import signal
import time

import pytest

from orchestrator.load.interrupt import Interrupted, Interrupts


def test_signal_breaks_off_what_allows_it() -> None:
    interrupts = Interrupts()
    with interrupts.caught(), pytest.raises(Interrupted), interrupts.allowed():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    assert interrupts.is_asked


def test_signal_elsewhere_waits_for_the_next_place() -> None:
    interrupts = Interrupts()
    with interrupts.caught():
        os.kill(os.getpid(), signal.SIGINT)
        while not interrupts.is_asked:
            time.sleep(0.001)
        with pytest.raises(Interrupted), interrupts.allowed():
            pytest.fail("the block was entered")


def test_second_signal_changes_nothing() -> None:
    interrupts = Interrupts()
    seen = 0
    with interrupts.caught():
        for _ in range(3):
            try:
                with interrupts.allowed():
                    os.kill(os.getpid(), signal.SIGINT)
                    time.sleep(10)
            except Interrupted:
                seen += 1
                os.kill(os.getpid(), signal.SIGINT)
    assert seen == 3, "once by the signal, then at the door"


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Interrupts().caught():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_signal_that_is_lost_in_a_destructor_is_found_by_a_check() -> None:
    class Dying:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    interrupts = Interrupts()
    with interrupts.caught(), interrupts.allowed():
        interrupts.check()
        del [Dying()][0]
        assert interrupts.is_asked, "the block goes on: Python has dropped the exception"
        with pytest.raises(Interrupted):
            interrupts.check()
