"""Knowledge distillation: what a dense model knows, as labels for the pruned one."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import check_number, using

_NOT_EXACTLY_ONE = 0.02  # What the rounding of float16 outputs may add up to.


def soft_targets(
    teacher: Any, data: Any, *, weight: float = 0.5, temperature: float = 1.0
) -> Any:
    """Mixes labels with what a teacher says of the same inputs.

    The best teacher of a pruned model is the model as it was: keep a copy, and
    fine-tune on these targets with the loss `"categorical_crossentropy"` (a binary
    classifier with `"binary_crossentropy"`). They are data, so they work in `fit`,
    in a loop of your own and in `compress`, in both worlds and with every callback.

    Of arrays the teacher sees each sample once, before training. Of a dataset it sees
    each batch as it comes, so put what augments pictures before this and nothing that
    changes them behind it.

    Args:
        teacher: A trained classifier with one output, probabilities or logits, of
            either world, or the path of one (.keras, .h5).
        data: `(x, y)` or `(x, y, sample_weight)`, arrays, or a `tf.data.Dataset` of
            such batches. Labels are class numbers or one-hot rows.
        weight: How much of each target is the teacher's, 0 to 1. Defaults to 0.5.
        temperature: What the teacher's logits are divided by: above 1 it says more
            about the classes that it finds unlikely. Defaults to 1.

    Returns:
        The data with targets in place of labels: float32, of the shape of the
        teacher's output.

    Raises:
        TypeError: If the teacher is not a Keras model, or the data of another kind.
        ValueError: If the weight or the temperature is not possible, the teacher is no
            classifier of one class a sample, or the labels are not of its classes.

    Example:

    ```python
    model.save("dense.keras")  # the teacher, as it is before anything is pruned
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    x, targets = kpk.soft_targets("dense.keras", (x, y))
    model.fit(x, targets, epochs=5, callbacks=[kpk.PruningCallback(0.9)])
    ```

    Source: Hinton et al. 2015, "Distilling the Knowledge in a Neural Network", arXiv
    1503.02531. For other losses than on labels, such as on features, there is
    `keras.distillation.Distiller`: callbacks of this package then prune its student.
    """
    teacher = _keras.opened(teacher)
    _keras.world(teacher, "teacher")
    check_number("weight", weight, 0, 1)
    check_number("temperature", temperature, 0.01, 1000)
    is_dataset = hasattr(data, "element_spec")
    _check_data(data.element_spec if is_dataset else data)
    if is_dataset:
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
        "are_logits": not are_probabilities(outputs),
    }
    if not is_dataset:
        mixed = _keras.mix_targets(outputs, y, **options)
        return (x, mixed.numpy(), *data[2:])

    def mix(x: Any, y: Any, *sample_weight: Any) -> tuple[Any, ...]:
        outputs = teacher(x, training=False)
        return (x, _keras.mix_targets(outputs, y, **options), *sample_weight)

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
            "The teacher gives NaN or infinite outputs, so there is nothing to learn "
            "from it. Load a healthy checkpoint."
        )
    return outputs


def _described(outputs: Any) -> str:
    if hasattr(outputs, "shape"):
        return f"an output of shape {tuple(outputs.shape)}"
    return f"{len(outputs)} outputs"


def _check_labels(y: np.ndarray, outputs: np.ndarray) -> None:
    classes = outputs.shape[-1]
    if y.shape == outputs.shape and classes > 1:
        fits = are_probabilities(y)
    else:
        fits = y.shape in (outputs.shape[:-1], (*outputs.shape[:-1], 1))
        fits = fits and y.size and bool(np.isin(y, np.arange(max(classes, 2))).all())
    if not fits:
        raise ValueError(
            "Labels must be numbers or one-hot rows of the classes that the teacher "
            f"tells apart, of which there are {max(classes, 2)}. Received data with "
            f"labels of shape {y.shape} up to {y.max() if y.size else None}, a "
            f"teacher with outputs of shape {outputs.shape}."
        )


def are_probabilities(rows: np.ndarray) -> bool:
    """Whether rows `(n, classes)` are probabilities, and not logits."""
    rows = np.asarray(rows, np.float32)
    if rows.min() < 0 or rows.max() > 1:
        return False
    return rows.shape[-1] == 1 or bool(
        np.allclose(rows.sum(-1), 1, atol=_NOT_EXACTLY_ONE)
    )
