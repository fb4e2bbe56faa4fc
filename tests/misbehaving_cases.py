"""Cases that crash and hang, for the test of what runs cases."""

import os
import time
from types import SimpleNamespace


def cases(name, count, seed):
    return ["crash", "hang", "fine"][:count]


def run(name, number, case):
    if case == "crash":
        os.abort()
    if case == "hang":
        time.sleep(1000)
    return SimpleNamespace(kind="accepted", case=f"{name} {case!r}", text="")


def clean_up():
    pass
