"""`keras-prune-kit demo`: the whole job on real data, with nothing to download."""

from __future__ import annotations

import argparse
import time
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from keras_prune_kit.compression import compress
from keras_prune_kit.digits import load_digits
from keras_prune_kit.policies import PrunePolicy

_BASELINE_EPOCHS = 30
_PRUNING_EPOCHS = 40
_QUIET: dict[str, Any] = {"verbose": 0}


def run(options: argparse.Namespace) -> None:
    """Trains, prunes, quantizes, reports, and says where the files are."""
    console = Console()
    started = time.perf_counter()
    keras.utils.set_random_seed(1)
    (x, y), (x_test, y_test) = load_digits()
    # Every fifth image chooses the epoch; the test images are for the last line only.
    is_validation = [index % 5 == 0 for index in range(len(x))]
    is_training = [not chosen for chosen in is_validation]
    training = x[is_training], y[is_training]
    validation = x[is_validation], y[is_validation]
    console.print(
        f"UCI handwritten digits, 8x8: {len(training[0]):,} images to train with, "
        f"{len(validation[0])} to choose with, {len(x_test)} to test with.\n"
    )
    model = _network()
    with _progress(console) as progress:
        model.fit(
            *training,
            epochs=_BASELINE_EPOCHS,
            **_QUIET,
            callbacks=[_ShowProgress(progress, "training", _BASELINE_EPOCHS)],
        )
        report = compress(
            model,
            training,
            validation_data=validation,
            policy=PrunePolicy(options.sparsity),
            quantization="int8",
            epochs=_PRUNING_EPOCHS,
            out_dir=options.out,
            callbacks=[_ShowProgress(progress, "pruning", _PRUNING_EPOCHS)],
            verbose=0,
        )
    console.print(str(report), highlight=False)
    before = model.evaluate(x_test, y_test, return_dict=True, **_QUIET)["accuracy"]
    after = report.tflite.evaluate(x_test, y_test)
    seconds = time.perf_counter() - started
    console.print(
        f"\nOn the test images: {before:.4f} before, {after:.4f} from the .tflite.\n"
        f"{report.ratio:.1f}x smaller in {seconds:.0f} s. Everything is in "
        f"[bold]{options.out}[/bold]: pruned.keras, model.tflite, report.txt, "
        "report.json, sizes.png",
        highlight=False,
    )


class _ShowProgress(keras.callbacks.Callback):
    """Moves a progress bar on with every epoch."""

    def __init__(self, progress: Progress, name: str, epochs: int) -> None:
        super().__init__()
        self._progress = progress
        self._task = progress.add_task(name, total=epochs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._progress.advance(self._task)


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


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:9}"),
        BarColumn(),
        TextColumn("epoch {task.completed}/{task.total}"),
        TimeRemainingColumn(),
        console=console,
    )
