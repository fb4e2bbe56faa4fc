"""One search by several processes: KerasTuner's chief, and workers that ask it.

    python examples/keras_tuner_workers.py [--workers 2] [--trials 8] [--out DIR]

Starts all of them here. A worker that dies is started again under its own name, which
makes the chief give it the trial it had: no finished trial is lost. Expect a front of
some trials after a minute or two.

On several machines run the same script on each, with these variables, and --out on a
file system that all of them share (the chief needs no GPU):

    KERASTUNER_TUNER_ID=chief    (worker1, worker2, ... on the others)
    KERASTUNER_ORACLE_IP=10.0.0.1 KERASTUNER_ORACLE_PORT=8000    (of the chief)
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import keras_tuner

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--out", type=Path, default=Path("digits_search"))
    options = parser.parse_args()
    if "KERASTUNER_TUNER_ID" in os.environ:
        search(options.out, options.trials)
        return
    options.out.mkdir(parents=True, exist_ok=True)
    train_baseline(options.out / "baseline.keras")
    run_all(["chief", *(f"worker{n + 1}" for n in range(options.workers))])
    print(kpk.pareto_front(options.out / "search"))


def search(out, trials):
    """What the chief and each worker run: the same lines."""
    (x, y), _ = load_digits()
    hypermodel = kpk.CompressionHyperModel(
        out / "baseline.keras",
        quantization=("dynamic", "int8"),
        representative_data=x[:100],
        max_accuracy_drop=0.02,
    )
    tuner = keras_tuner.RandomSearch(
        hypermodel, max_trials=trials, seed=1, directory=out, project_name="search"
    )
    validation = (x[1000:], y[1000:])
    tuner.search(x[:1000], y[:1000], validation_data=validation, epochs=3, verbose=0)


def train_baseline(path):
    (x, y), _ = load_digits()
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:1000], y[:1000], epochs=20, verbose=0)
    model.save(path)


def run_all(names):
    """Starts a process a name on this machine, and ends when all workers have."""
    port = str(free_port())
    running = {name: start(name, port) for name in names}
    chief = running.pop("chief")
    try:
        while running:
            time.sleep(0.2)
            for name, process in list(running.items()):
                if process.poll() == 0:
                    del running[name]
                elif process.poll() is not None:
                    running[name] = start(name, port)
    finally:
        for process in (chief, *running.values()):
            process.terminate()
            process.wait()


def start(name, port):
    variables = {
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": port,
    }
    process = subprocess.Popen(
        [sys.executable, *sys.argv], env={**os.environ, **variables}
    )
    print(f"{name} is process {process.pid}", flush=True)
    return process


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    main()
