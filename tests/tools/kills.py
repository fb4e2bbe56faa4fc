"""Kills the process at random moments, lets it go on, and looks at what is there.

    python tests/tools/kills.py [--kills 50] [--seed 0] [--only training ...]
        [--world keras]

Each of training, `compress()`, an export and a search is killed by SIGKILL so many
times, at any moment of its work, and then run once more in the same folder. Prints a
line of JSON for each: how many kills, files that were torn when the process was gone,
runs that did not end at their sparsity, trials that were lost or changed, and what is
left of ours in folders of temporary files. All but the first should be 0.
"""

import argparse
import collections
import contextlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import keras
import keras_tuner
import tf_keras

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

TROUBLES = (
    *("torn files", "resume failed", "wrong sparsity", "lost trials"),
    *("changed trials", "left behind", "strange files"),
)
WORLDS = {"keras": keras, "tf_keras": tf_keras}
TARGET = 0.8
UNITS = 32


def new_model(K):
    K.utils.set_random_seed(0)
    layers = [
        K.layers.Input((8, 8, 1)),
        K.layers.Flatten(),
        K.layers.Dense(UNITS, activation="relu"),
        K.layers.Dense(10, activation="softmax"),
    ]
    model = K.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def trained_model(K):
    (x, y), _ = load_digits()
    model = new_model(K)
    model.fit(x, y, verbose=0)
    return model


def has_target(tflite):
    """Whether exactly four of five weights are zero in each kernel."""
    found = {
        weight.shape: weight.zeros for weight in kpk.sparsity_report(tflite).weights
    }
    sizes = [64 * UNITS, UNITS * 10]
    return sorted(found.values()) == sorted(round(TARGET * size) for size in sizes)


class Training:
    """`fit` with a backup each epoch and the best epoch kept."""

    files = frozenset({"best.keras", "end.tflite"})

    def work(self, K, folder):
        (x, y), _ = load_digits()
        model = new_model(K)
        best = kpk.TargetSparsityCheckpoint(folder / "best.keras", monitor="loss")
        pruning = kpk.PruningCallback(TARGET)
        # Keras' own, written in place, was torn by two kills of fifty.
        backup = kpk.BackupAndRestore(folder.parent / "backup")
        model.fit(x, y, epochs=12, verbose=0, callbacks=[backup, pruning, best])
        kpk.export_tflite(model).save(folder / "end.tflite")

    def errors(self, folder):
        if not has_target(folder / "end.tflite"):
            yield "wrong sparsity"


class Compress:
    """The whole job, with its folder of results."""

    def work(self, K, folder):
        train, test = load_digits()
        kpk.compress(
            trained_model(K),
            train,
            validation_data=test,
            policy=TARGET,
            quantization="none",
            epochs=2,
            out_dir=folder,
            verbose=0,
        )

    files = None

    def errors(self, folder):
        if not has_target(next(folder.glob("*.tflite"))):
            yield "wrong sparsity"


class Export:
    """One file, written over and over."""

    files = frozenset({"model.tflite"})

    def work(self, K, folder):
        model = trained_model(K)
        with kpk.Pruner(model, kpk.ConstantSparsity(TARGET)) as pruner:
            pruner.step()
        for quantization in ("none", "dynamic", "float16"):
            exported = kpk.export_tflite(model, quantization=quantization)
            exported.save(folder / "model.tflite")

    def errors(self, folder):
        if not has_target(folder / "model.tflite"):
            yield "wrong sparsity"


class Search:
    """Three trials on the digits, going on where the last process was cut off."""

    files = None
    trials = 3

    def work(self, K, folder):
        train, test = load_digits()
        hypermodel = kpk.CompressionHyperModel(
            trained_model(K), quantization=["dynamic"], max_accuracy_drop=0.5
        )
        oracle = keras_tuner.oracles.RandomSearchOracle(
            kpk.smallest_within(0.5), max_trials=self.trials, seed=0
        )
        tuner = kpk.CompressionTuner(
            oracle=oracle, hypermodel=hypermodel, directory=folder, project_name="s"
        )
        tuner.search(*train, validation_data=test, epochs=1, verbose=0)

    def finished(self, folder):
        """What is on record of each trial that the search knows to be at its end."""
        with contextlib.suppress(FileNotFoundError):
            state = json.loads((folder / "s" / "oracle.json").read_text())
            return {
                name: (folder / "s" / f"trial_{name}" / "compression.json").read_bytes()
                for name in state["end_order"]
            }
        return {}

    def errors(self, folder):
        states = [
            json.loads(path.read_text())["status"]
            for path in (folder / "s").glob("trial_*/trial.json")
        ]
        if states != ["COMPLETED"] * self.trials:
            yield "lost trials"


WORK = {
    "training": Training(),
    "compress": Compress(),
    "export": Export(),
    "search": Search(),
}


def is_whole(path, K):
    """Whether a file of a known kind can be read."""
    try:
        if path.suffix == ".keras":
            K.models.load_model(path)
        elif path.suffix == ".tflite":
            kpk.sparsity_report(path)
        elif path.suffix == ".json":
            json.loads(path.read_text())
        return True
    except Exception:
        return False


def act(name, world, place, connection):
    """What the process does: the work, announced before and after."""
    log = os.open(place / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.environ["TMPDIR"] = tempfile.tempdir = str(place / "tmp")
    connection.send("begins")
    WORK[name].work(WORLDS[world], place / "out")
    connection.send("ends")


class Victim:
    """A process at work in a folder.

    It is forked from one that has imported everything, so that no kill is spent on the
    imports.
    """

    def __init__(self, name, world, place):
        for folder in ("out", "tmp"):
            (place / folder).mkdir(exist_ok=True)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tensorflow", "keras_tuner", __name__])
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=act, args=(name, world, place, theirs))
        self._process.start()
        theirs.close()
        self._ours.recv()

    def finish(self):
        """Waits for its end; gives whether it is a good one."""
        with contextlib.suppress(EOFError):
            self._ours.recv()
        self._process.join()
        return self._process.exitcode == 0

    def kill(self, seconds):
        """Kills it after a while; gives whether it was still at work."""
        if self._ours.poll(seconds):
            self._process.join()
            return False
        os.kill(self._process.pid, signal.SIGKILL)
        self._process.join()
        return True


def temporary(place):
    return [path for path in place.rglob(".keras_prune_kit-*") if path.exists()]


def one_kill(name, world, seconds):
    """One kill and what follows; `None` if the work was done before."""
    found = collections.Counter(dict.fromkeys(TROUBLES, 0))
    with tempfile.TemporaryDirectory() as folder:
        place, work = Path(folder), WORK[name]
        if not Victim(name, world, place).kill(seconds):
            return None
        files = [p for p in (place / "out").rglob("*.*") if p.is_file()]
        cut = [p for p in files if not any(q in temporary(place) for q in p.parents)]
        found["torn files"] += sum(not is_whole(path, WORLDS[world]) for path in cut)
        finished = work.finished(place / "out") if name == "search" else {}
        if not Victim(name, world, place).finish():
            found["resume failed"] += 1
            print((place / "log").read_text()[-2000:], file=sys.stderr)
            return found
        found.update(work.errors(place / "out"))
        after = work.finished(place / "out") if name == "search" else {}
        found["changed trials"] += sum(after.get(k) != v for k, v in finished.items())
        found["left behind"] += len(temporary(place))
        there = {path.name for path in (place / "out").iterdir()}
        found["strange files"] += bool(work.files and there - work.files)
    return found


def duration(name, world):
    """Seconds that the work takes without being disturbed."""
    with tempfile.TemporaryDirectory() as folder:
        victim, begin = Victim(name, world, Path(folder)), time.perf_counter()
        if not victim.finish():
            raise RuntimeError((Path(folder) / "log").read_text()[-2000:])
        return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=WORK, default=list(WORK))
    parser.add_argument("--world", choices=WORLDS, default="keras")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    for name in options.only:
        seconds, kills, total = duration(name, options.world), 0, collections.Counter()
        while kills < options.kills:
            found = one_kill(name, options.world, rng.uniform(0, seconds))
            if found is not None:
                kills += 1
                total.update(found)
        result = {
            "work": name,
            "world": options.world,
            "seconds": round(seconds, 1),
            "kills": kills,
        }
        print(json.dumps({**result, **total}), flush=True)


if __name__ == "__main__":
    main()
