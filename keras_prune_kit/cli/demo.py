"""`keras-prune-kit demo`: a whole compression of real data, without a download."""

from __future__ import annotations

import argparse
import logging
import time
from typing import Any

import keras

from keras_prune_kit._keras.stage_progress import StageProgress
from keras_prune_kit.cli.compress import save
from keras_prune_kit.cli.result import Result
from keras_prune_kit.compression import compress
from keras_prune_kit.digits import load_digits
from keras_prune_kit.policies import PrunePolicy

_log = logging.getLogger(__name__)

_BASELINE_EPOCHS = 30
_PRUNING_EPOCHS = 40
_QUIET: dict[str, Any] = {"verbose": 0}


def run(options: argparse.Namespace) -> Result:
    """Train, prune and quantize a small network, and report where the files are."""
    started = time.perf_counter()
    keras.utils.set_random_seed(1)
    (x, y), (x_test, y_test) = load_digits()
    # Every fifth image chooses the epoch; test images only measure the final result.
    is_validation = [index % 5 == 0 for index in range(len(x))]
    is_training = [not chosen for chosen in is_validation]
    training = x[is_training], y[is_training]
    validation = x[is_validation], y[is_validation]
    _log.info(
        "UCI handwritten digits, 8x8: %s images to train with, %d to choose the best "
        "epoch with, %d to test with.",
        f"{len(training[0]):,}",
        len(validation[0]),
        len(x_test),
    )
    model = _network()
    model.fit(
        *training,
        epochs=_BASELINE_EPOCHS,
        **_QUIET,
        callbacks=[StageProgress("training")],
    )
    report = compress(
        model,
        training,
        validation_data=validation,
        policy=PrunePolicy(options.sparsity),
        quantization="int8",
        epochs=_PRUNING_EPOCHS,
        callbacks=[StageProgress("pruning")],
        verbose=0,
    )
    before = model.evaluate(x_test, y_test, return_dict=True, **_QUIET)["accuracy"]
    after = report.tflite.evaluate(x_test, y_test)
    seconds = time.perf_counter() - started
    return save(
        report,
        options.out,
        f"On the test images: {before:.4f} before, {after:.4f} from the .tflite.",
        f"{report.ratio:.1f}x smaller in {seconds:.0f} s.",
    )


def _network() -> keras.Model:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
