"""Knowledge distillation: outputs of a dense model as labels for a pruned one."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import check_number, using


def soft_targets(
    teacher: Any, data: Any, *, weight: float = 0.5, temperature: float = 1.0
) -> Any:
    """Return data with labels that are mixed with a teacher's outputs for the inputs.

    The best teacher of a pruned model is the dense model: keep a copy, and fine-tune on
    these targets with the loss `"categorical_crossentropy"` (for a binary classifier
    `"binary_crossentropy"`). The result is ordinary data, so it works in `fit`, in a
    custom training loop and in `compress`, in both worlds and with every callback.

    For arrays, the teacher sees each sample once, before training. For a dataset, it
    sees each batch when it is read, so augment the inputs before this call and do not
    change them after it.

    Args:
        teacher: A trained classifier with one output, probabilities or logits, of
            either world, or the path of one (.keras, .h5).
        data: `(x, y)` or `(x, y, sample_weight)`, arrays, or a `tf.data.Dataset` of
            such batches. Labels are class numbers or one-hot rows.
        weight: The teacher's share of each target, 0 to 1. Defaults to 0.5.
        temperature: The divisor of the teacher's logits; above 1, unlikely classes get
            more of the target. Defaults to 1.

    Returns:
        The data with targets in place of labels: float32, of the shape of the
        teacher's output.

    Raises:
        TypeError: If the teacher is not a Keras model, or the data are of another kind.
        ValueError: If the weight or the temperature is out of range, the teacher is not
            a classifier with one output, or the labels do not fit its classes.

    Example:

    ```python
    model.save("dense.keras")  # the teacher, as it is before anything is pruned
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    x, targets = kpk.soft_targets("dense.keras", (x, y))
    model.fit(x, targets, epochs=5, callbacks=[kpk.PruningCallback(0.9)])
    ```

    Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", arXiv
    1503.02531. For losses on other tensors than labels, such as features, use
    `keras.distillation.Distiller`: the callbacks of this package prune its student.
    """
    teacher = _keras.opened(teacher)
    _keras.world(teacher, "teacher")
    check_number("weight", weight, 0, 1)
    check_number("temperature", temperature, 0.01, 1000)
    is_dataset = hasattr(data, "element_spec")
    if is_dataset and _keras.backend_of(teacher) != "tensorflow":
        raise ValueError(
            "A tf.data.Dataset needs a teacher on the TensorFlow backend of Keras, "
            f"whose functions it can run. Received: a teacher on "
            f"{_keras.backend_of(teacher)}. Pass arrays, (x, y)."
        )
    _check_data(data.element_spec if is_dataset else data)
    if is_dataset:
        # The spec of a dataset tells neither the classes nor whether they are logits.
        first = next(iter(data), None)
        if first is None:
            raise ValueError("data must hold at least one batch. Received none.")
        x, y, *_ = first
        outputs = _check_classifier(teacher(x, training=False))
    else:
        x, y, *_ = data
        with using("data"):
            predicted = teacher.predict(x, verbose=0)
        outputs = _check_classifier(predicted)
    _check_labels(np.asarray(y), outputs)
    options = {
        "weight": weight,
        "temperature": temperature,
        "are_logits": not _keras.are_probabilities(outputs),
    }
    if not is_dataset:
        mixed = _keras.mix_targets(teacher, outputs, y, **options)
        return (x, _keras.to_numpy(teacher, mixed), *data[2:])

    def mix(x: Any, y: Any, *sample_weight: Any) -> tuple[Any, ...]:
        outputs = teacher(x, training=False)
        return (x, _keras.mix_targets(teacher, outputs, y, **options), *sample_weight)

    return data.map(mix)


def _check_data(data: Any) -> None:
    if (
        not isinstance(data, tuple)
        or len(data) not in (2, 3)
        or any(len(getattr(item, "shape", ())) == 0 for item in data[1:])
    ):
        raise TypeError(
            "data are (x, y) or (x, y, sample_weight), arrays, or a tf.data.Dataset of "
            f"such batches. Received: {type(data).__name__} {data!r:.200}."
        )


def _check_classifier(outputs: Any) -> np.ndarray:
    if not hasattr(outputs, "shape") or len(outputs.shape) < 2:
        raise ValueError(
            "The teacher must be a classifier with one output of shape (n, classes). "
            f"Received: a teacher with {_described(outputs)}."
        )
    outputs = np.asarray(outputs)
    if not np.isfinite(outputs).all():
        raise ValueError(
            "The teacher must have finite outputs. Received: NaN or infinite outputs. "
            "Load a healthy checkpoint."
        )
    return outputs


def _described(outputs: Any) -> str:
    if hasattr(outputs, "shape"):
        return f"an output of shape {tuple(outputs.shape)}"
    return f"{len(outputs)} outputs"


def _check_labels(y: np.ndarray, outputs: np.ndarray) -> None:
    classes = outputs.shape[-1]
    if y.shape == outputs.shape and classes > 1:
        fits = _keras.are_probabilities(y)
    else:
        fits = y.shape in (outputs.shape[:-1], (*outputs.shape[:-1], 1))
        # A single sigmoid separates two classes.
        fits = fits and y.size and bool(np.isin(y, np.arange(max(classes, 2))).all())
    if not fits:
        raise ValueError(
            "Labels must be class numbers or one-hot rows for the "
            f"{max(classes, 2)} classes of the teacher. Received: labels of shape "
            f"{y.shape} up to {y.max() if y.size else None}, and a teacher with "
            f"outputs of shape {outputs.shape}."
        )
