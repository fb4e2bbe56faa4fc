"""The search, against one that does everything anew in every trial, at equal wall time.

Naive: each trial trains the CNN of the MNIST tutorial, prunes it with TFMOT while it
trains on, strips and converts it; its ranges of sparsity and quantizations are what
TFMOT and the converter offer. Ours: one CNN is trained alike, within the time, and each
trial starts from it; the search space is the default one. With --same-space it is the
naive one's. Both have KerasTuner's Bayesian oracle, aim at the same objective and are
measured by the same code on the same 6,000 images held out. A trial counts if it ended
in time; the one that has not is cut off. `hyperband` is ours with KerasTuner's
Hyperband, which gives the best trials up to three times the epochs and most fewer.

    python examples/benchmarks/search.py --data mnist.npz --seconds 1800
        [--searches naive ours hyperband]

Hypervolume: accuracy above 0.97 times halvings of the size from 1,600,000 bytes. Prints
a JSON line for each search, and one a seed that compares them, with the bound of the
hypervolume: that of a file as good as the best and as small as one with all weights 0.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import tempfile
import time
from pathlib import Path

import keras
import keras_tuner
import tf_keras
from mnist_cnn import build, load

import keras_prune_kit as kpk
from keras_prune_kit.reports import ParetoFront, SearchTrial

SPARSITY = (0.5, 0.98)
QUANTIZATION = ("none", "float16", "dynamic", "int8")
BATCH = 128
MAX_DROP = 0.002


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="mnist.npz")
    parser.add_argument("--seconds", type=float, default=1800, help="for each search")
    parser.add_argument("--searches", nargs="+", default=["naive", "ours"])
    parser.add_argument("--same-space", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=54000, help="to train with")
    parser.add_argument("--epochs", type=int, default=10, help="of training")
    parser.add_argument("--pruning-epochs", type=int, default=3)
    parser.add_argument("--min-accuracy", type=float, default=0.97)
    parser.add_argument("--max-bytes", type=float, default=1_600_000)
    options = parser.parse_args()
    train, validation, _ = load(options.data)
    train = tuple(array[: options.images] for array in train)
    for seed in options.seeds:
        results = {}
        for name in options.searches:
            for world in (keras, tf_keras):
                world.utils.set_random_seed(seed)
            with tempfile.TemporaryDirectory() as folder:
                clock = Clock(options.seconds)
                front = SEARCHES[name](folder, clock, seed, train, validation, options)
                results[name] = describe(front, clock, options)
            line = {"benchmark": "search", "search": name, "seed": seed}
            print(json.dumps(line | results[name]), flush=True)
        if {"naive", "ours"} <= results.keys():
            print(json.dumps(comparison(results, seed, options)), flush=True)


class TimeIsUp(keras_tuner.errors.FatalError):
    """Ends a search in the middle of a trial."""


class Clock:
    """Knows which trials ended in time, and ends what trains when it is up."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds
        self.ended = []

    def callback(self, world):
        return world.callbacks.LambdaCallback(on_train_batch_end=self.check)

    def check(self, batch, logs=None):
        if time.monotonic() > self.end:
            raise TimeIsUp

    def end_trial(self, trial):
        if trial.status == "COMPLETED" and time.monotonic() < self.end:
            self.ended.append(trial.trial_id)


class Timed:
    """A tuner that tells a clock of each trial."""

    def on_trial_end(self, trial):
        super().on_trial_end(trial)
        self.clock.end_trial(trial)


class Bayesian(Timed, kpk.CompressionTuner):
    pass


class Hyperband(Timed, keras_tuner.Hyperband):
    pass


def ours(folder, clock, seed, train, validation, options):
    def tuner_of(hypermodel):
        return Bayesian(oracle_of(seed), hypermodel, directory=folder)

    return search(tuner_of, clock, train, validation, options)


def hyperband(folder, clock, seed, train, validation, options):
    def tuner_of(hypermodel):
        return Hyperband(
            hypermodel,
            kpk.smallest_within(MAX_DROP),
            max_epochs=3 * options.pruning_epochs,
            hyperband_iterations=1000,
            seed=seed + 1,
            directory=folder,
        )

    return search(tuner_of, clock, train, validation, options)


def search(tuner_of, clock, train, validation, options):
    """The front of a search that starts from one dense network."""
    model = build(keras)
    model.fit(*train, batch_size=BATCH, epochs=options.epochs, verbose=0)
    space = {"sparsity": SPARSITY, "quantization": QUANTIZATION}
    hypermodel = kpk.CompressionHyperModel(
        model,
        **(space if options.same_space else {}),
        representative_data=train[0][:200],
        max_accuracy_drop=MAX_DROP,
    )
    tuner = tuner_of(hypermodel)
    tuner.clock = clock
    with contextlib.suppress(TimeIsUp):
        tuner.search(
            *train,
            validation_data=validation,
            batch_size=BATCH,
            epochs=options.pruning_epochs,
            callbacks=[clock.callback(keras)],
            verbose=0,
        )
    front = kpk.pareto_front(tuner)
    in_time = tuple(trial for trial in front.trials if trial.name in clock.ended)
    return dataclasses.replace(front, trials=in_time)


class Naive(Timed, keras_tuner.Tuner):
    """What one writes with KerasTuner and TFMOT at hand."""

    def run_trial(self, trial, train, validation, options):
        import tensorflow_model_optimization as tfmot

        hp = trial.hyperparameters
        sparsity = float(hp.Float("sparsity", *SPARSITY))  # TFMOT takes no float64
        quantization = hp.Choice("quantization", list(QUANTIZATION))
        clock = self.clock.callback(tf_keras)
        tf_keras.backend.clear_session()
        model = build(tf_keras)
        model.fit(
            *train,
            batch_size=BATCH,
            epochs=options.epochs,
            callbacks=[clock],
            verbose=0,
        )
        baseline = model.evaluate(*validation, verbose=0, return_dict=True)["accuracy"]
        steps = -(-len(train[0]) // BATCH) * options.pruning_epochs
        schedule = tfmot.sparsity.keras.PolynomialDecay(
            0.0, sparsity, 0, max(steps * 3 // 4, 1), frequency=max(steps // 100, 1)
        )
        pruned = tfmot.sparsity.keras.prune_low_magnitude(
            model, pruning_schedule=schedule
        )
        pruned.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        pruned.fit(
            *train,
            batch_size=BATCH,
            epochs=options.pruning_epochs,
            callbacks=[tfmot.sparsity.keras.UpdatePruningStep(), clock],
            verbose=0,
        )
        stripped = tfmot.sparsity.keras.strip_pruning(pruned)
        needs_data = quantization == "int8"
        file = kpk.export_tflite(
            stripped,
            quantization=quantization,
            representative_data=train[0][:200] if needs_data else None,
        )
        accuracy = file.evaluate(*validation)
        measures = {
            "gzip_bytes": float(file.gzip_bytes),
            "size_ratio": kpk.gzip_bytes(model) / file.gzip_bytes,
            "tflite_accuracy": accuracy,
            "accuracy_drop": baseline - accuracy,
        }
        objective = self.oracle.objective
        self.found[trial.trial_id] = measures
        return {**measures, objective.name: objective.get_value(measures)}


def naive(folder, clock, seed, train, validation, options):
    tuner = Naive(oracle_of(seed), directory=folder)
    tuner.clock, tuner.found = clock, {}
    hp = keras_tuner.HyperParameters()
    hp.Float("sparsity", *SPARSITY)
    hp.Choice("quantization", list(QUANTIZATION))
    tuner.oracle.update_space(hp)
    tuner.oracle.verbose = 0
    with contextlib.suppress(TimeIsUp):
        tuner.search(train, validation, options)
    trials = tuple(
        SearchTrial(
            name=name,
            folder=Path(folder),
            accuracy=measures["tflite_accuracy"],
            gzip_bytes=int(measures["gzip_bytes"]),
            measures=measures,
            hyperparameters=tuner.oracle.trials[name].hyperparameters.values,
        )
        for name, measures in tuner.found.items()
        if name in clock.ended
    )
    return ParetoFront(trials, "accuracy", 1.0, int(options.max_bytes), MAX_DROP)


SEARCHES = {"naive": naive, "ours": ours, "hyperband": hyperband}


def oracle_of(seed):
    return keras_tuner.oracles.BayesianOptimizationOracle(
        kpk.smallest_within(MAX_DROP),
        max_trials=10_000,
        num_initial_points=6,
        seed=seed + 1,
    )


def describe(front, clock, options):
    volume = front.hypervolume(
        min_accuracy=options.min_accuracy, max_bytes=options.max_bytes
    )
    return {
        "trials": len(front.trials),
        "trials_an_hour": round(len(front.trials) / options.seconds * 3600, 1),
        "hypervolume": round(volume, 5),
        "reference": [options.min_accuracy, options.max_bytes],
        "front": [[p.gzip_bytes, round(p.accuracy, 4)] for p in front.points],
        "best_accuracy": round(max((p.accuracy for p in front.points), default=0), 4),
        "load": round(os.getloadavg()[0], 1),
    }


def comparison(results, seed, options):
    ours, naive = results["ours"], results["naive"]
    best = max(ours["best_accuracy"], naive["best_accuracy"])
    halvings = math.log2(options.max_bytes / bytes_without_weights())
    bound = (best - options.min_accuracy) * halvings
    return {
        "benchmark": "search",
        "seed": seed,
        "times_the_trials": round(ours["trials"] / max(naive["trials"], 1), 2),
        "hypervolume_naive": naive["hypervolume"],
        "hypervolume_ours": ours["hypervolume"],
        "times_the_hypervolume": round(
            ours["hypervolume"] / max(naive["hypervolume"], 1e-9), 2
        ),
        "bound": round(bound, 5),
        "is_higher": ours["hypervolume"] > naive["hypervolume"],
    }


def bytes_without_weights():
    """The gzipped size of the CNN's file of 8 bits with all weights 0."""
    model = build(keras)
    model.set_weights([array * 0 for array in model.get_weights()])
    return kpk.export_tflite(model, quantization="dynamic").gzip_bytes


if __name__ == "__main__":
    main()
