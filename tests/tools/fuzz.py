"""Bad input by the thousands: every public function, files, and the command line.

Each case replaces one valid argument by a bad value, damages a file, or spoils a word
of a command. It may be refused with a `ValueError`, `TypeError`, `OSError` or a
documented exception that names the argument, or be accepted; the model's weights stay
as they were. Cases run in processes of their own, so that a crash or a hang is told and
not suffered. Expect no failures.

    python tests/tools/fuzz.py --cases 2000
"""

import argparse
import collections
import functools
import importlib
import json
import logging
import multiprocessing
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

LIMIT_S = 10
_TRAINING_LIMIT_S = 60
_TRAINING = ("compress", "command line")
_START_S = 120  # TensorFlow, the models and their files.


def serve(connection, module):
    """Runs the cases that are asked for, until nobody asks any more.

    Args:
        connection: Gives what `cases` of the module takes, and a number among them.
        module: What has `cases`, `run` and `clean_up`.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for standard in (1, 2):
        os.dup2(nowhere, standard)
    logging.disable(logging.CRITICAL)
    of = importlib.import_module(module)
    name = None
    drawn = []
    while True:
        try:
            asked, number = connection.recv()
        except EOFError:
            return of.clean_up()
        if asked != name:
            name, drawn = asked, of.cases(*asked)
        connection.send("begun")
        outcome = of.run(asked[0], number, drawn[number])
        connection.send((outcome.kind, outcome.case, outcome.text))


@functools.cache
def cases_of(module, *asked):
    """What a module's `cases` gives, in this process."""
    return importlib.import_module(module).cases(*asked)


class Worker:
    """A process that runs cases, replaced once one has hung or crashed."""

    def __init__(self, module="fuzzing.cases", limit_s=LIMIT_S):
        self._module, self._limit_s = module, limit_s
        self._process = None

    def run(self, asked, number):
        """The kind of an outcome, the case and what was said."""
        if self._process is None:
            self._start()
        self._connection.send((asked, number))
        try:
            if not self._connection.poll(_START_S):
                return self._lost("hang", asked, number)
            self._connection.recv()
            limit_s = _TRAINING_LIMIT_S if asked[0] in _TRAINING else self._limit_s
            if not self._connection.poll(limit_s):
                return self._lost("hang", asked, number)
            return self._connection.recv()
        except EOFError:
            return self._lost("crash", asked, number)

    def stop(self):
        """Lets the process end."""
        if self._process is not None:
            self._connection.close()
            self._process.join(30)
            self._process.kill()

    def _start(self):
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        arguments = (theirs, self._module)
        self._process = context.Process(target=serve, args=arguments, daemon=True)
        self._process.start()
        theirs.close()

    def _lost(self, kind, asked, number):
        self._process.join(0 if kind == "hang" else 10)
        text = f"exit code {self._process.exitcode}"
        self._process.kill()
        self._process.join()
        case = f"{asked[0]} {cases_of(self._module, *asked)[number]!r}"[:300]
        self._process = None
        return kind, case, text


def fuzz(counts, seed, workers=2):
    """Runs so many cases of each target.

    Returns:
        Tuples of target, kind, case and what was said.
    """
    local, all_workers, results = threading.local(), [], []

    def run(item):
        name, count = item
        if not hasattr(local, "worker"):
            local.worker = Worker()
            all_workers.append(local.worker)
        asked = (name, count, seed)
        found = [(name, *local.worker.run(asked, i)) for i in range(count)]
        results.extend(found)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(run, counts.items()))
    for worker in all_workers:
        worker.stop()
    return results


def summary(results):
    """Counts by target, and every failure."""
    by_target = collections.defaultdict(collections.Counter)
    for name, kind, _, _ in results:
        by_target[name][kind] += 1
    kinds = collections.Counter(kind for _, kind, _, _ in results)
    fine = ("accepted", "refused")
    failures = [
        {"target": name, "kind": kind, "case": case, "said": text}
        for name, kind, case, text in results
        if kind not in fine
    ]
    crashes, hangs = kinds["crash"], kinds["hang"]
    return {
        "benchmark": "fuzz",
        "cases": len(results),
        **{kind: kinds[kind] for kind in fine},
        **{"crashes": crashes, "hangs": hangs},
        "changed_models": kinds["changed model"],
        "other_failures": len(failures) - crashes - hangs - kinds["changed model"],
        "targets": {
            name: {"cases": sum(found.values()), **found}
            for name, found in sorted(by_target.items())
        },
        "failures": failures,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="targets whose name has this")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    from fuzzing.cases import counts

    start = time.monotonic()
    chosen = counts(options.cases).items()
    chosen = {name: count for name, count in chosen if options.only in name}
    found = summary(fuzz(chosen, options.seed, options.workers))
    print(json.dumps({**found, "seconds": round(time.monotonic() - start)}, indent=1))


if __name__ == "__main__":
    main()
