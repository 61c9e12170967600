"""A check that goes on beside its asker: in a process of its own, and none is left over."""

import subprocess
import sys

import pytest

# Each in an interpreter of its own: that of the tests has threads.
PREPARED = """
import os, signal, threading, time
from osqual.catalogue.stamps import beside
os.sched_getaffinity = lambda process: range(PROCESSORS)
asker = os.getpid()

def is_child():
    return os.getpid() != asker

def is_asker():
    return os.getpid() == asker

def end_me():
    os.kill(os.getpid(), signal.SIGKILL)

def break_me():
    raise OSError("no")

def children():
    try:
        return os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return "none"
"""


def printed(script: str, processors: int = 2) -> list[str]:
    """The words that a script prints; nothing may be on standard error."""
    text = PREPARED.replace("PROCESSORS", str(processors)) + script
    argv = [sys.executable, "-c", text]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


ASK = """
with beside({check}, worthwhile={worthwhile}) as result:
    print(result(), result())
print(children())
"""


@pytest.mark.parametrize(
    ("check", "answer"),
    [("is_child", "True"), ("is_asker", "False"), ("end_me", "False"), ("break_me", "False")],
)
def test_a_child_answers_and_what_breaks_or_ends_it_is_a_no(check: str, answer: str) -> None:
    assert printed(ASK.format(check=check, worthwhile=True)) == [answer, answer, "none"]


def test_it_stays_in_this_process_where_a_child_does_not_pay() -> None:
    assert printed(ASK.format(check="is_asker", worthwhile=False)) == ["True", "True", "none"]
    alone = printed(ASK.format(check="is_asker", worthwhile=True), processors=1)
    assert alone == ["True", "True", "none"]


def test_where_there_are_threads_there_is_no_child() -> None:
    """It would have their locks, and nobody who lets go of them."""
    thread = "threading.Thread(target=time.sleep, args=(1,), daemon=True).start()\n"
    asked = ASK.format(check="is_asker", worthwhile=True)
    assert printed(thread + asked) == ["True", "True", "none"]


def test_where_ends_of_children_are_ignored_the_answer_is_no() -> None:
    ignored = "signal.signal(signal.SIGCHLD, signal.SIG_IGN)\n"
    asked = ASK.format(check="is_child", worthwhile=True)
    assert printed(ignored + asked) == ["False", "False", "none"]


def test_nobody_has_to_ask_and_an_error_leaves_no_child() -> None:
    script = """
try:
    with beside(lambda: time.sleep(0.1) or True, worthwhile=True):
        raise KeyError
except KeyError:
    print("error", children())
"""
    assert printed(script) == ["error", "none"]
