"""Training towards the outputs of a dense model, without labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._keras.two_world_callback import TwoWorldCallback
from keras_prune_kit._tools.checks import check_number, check_whole
from keras_prune_kit._tools.nests import leaves
from keras_prune_kit.callbacks import PruningCallback
from keras_prune_kit.reconstruction.divergence import divergence
from keras_prune_kit.reconstruction.inputs import one_batch
from keras_prune_kit.reconstruction.reconstruct import checked_pair
from keras_prune_kit.schedules import KeepZeros

# One sample of so many is held out, to tell learning from learning by heart.
_HELD_OUT = 8
_LEAST_SAMPLES = 2 * _HELD_OUT


def distill(
    pruned: Any,
    dense_model: Any,
    *,
    data: Any,
    epochs: int = 40,
    batch_size: int = 32,
    learning_rate: float = 1e-3,
) -> bool:
    """Train what is left of a model to give the dense model's outputs, without labels.

    Use it after `reconstruct` or `prune_at_once`, where these leave something to gain:
    they match layer by layer, this matches the outputs, in a minute or more. Zeros and
    the averages of batch normalization stay. If all inputs are floats, each step has
    mixtures of two samples at random, for which the dense model has outputs as well:
    some hundred samples alone would be learned by heart. An eighth of the samples is
    held out; the epoch that comes closest to the dense outputs on them is kept.

    Args:
        pruned: A pruned model of either world, on any backend. It is changed in place,
            but for its compilation.
        dense_model: The model before it was pruned, with the same outputs.
        data: Inputs like those of training, without labels, as in `reconstruct`.
        epochs: Passes over as many mixtures as there are samples. Defaults to 40.
        batch_size: Mixtures of a step. Defaults to 32.
        learning_rate: The first rate of Adam, which falls along half a cosine. Defaults
            to 1e-3.

    Returns:
        True if the model changed: some epoch came closer than the model was before.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If a model is not built or cannot be copied, outputs do not match, a
            number is out of range, or inputs are fewer than 16, of another shape or not
            finite. The model is unchanged after any error.

    Example:

    ```python
    pruned = kpk.prune_at_once(model, 0.9, data=x_train[:512])
    kpk.distill(pruned, model, data=x_train[:512])
    ```

    Source: Hinton et al. 2015, arXiv 1503.02531, with no labels in the targets (to mix
    them: `soft_targets`); Zhang et al. 2018, arXiv 1710.09412, for the mixtures.
    """
    check_whole("epochs", epochs)
    check_whole("batch_size", batch_size)
    check_number("learning_rate", learning_rate, 1e-9, 1)
    pruned, dense_model = checked_pair(pruned, dense_model)
    held, seen = _split(pruned, one_batch(dense_model, data))
    size = _keras.fixed_batch(pruned) or batch_size
    steps = -(-len(next(leaves(seen))) // size)
    best = _Best(held, dense_model.predict(held, batch_size=size, verbose=0), size)
    before = best.divergence_of(pruned)
    student = _keras.copy_model(pruned)
    for layer in _keras.parts_of(student):
        if _keras.known_kind(layer) == "BatchNormalization":
            layer.trainable = False  # Those of few samples are no better.
    _compile(student, dense_model.predict_on_batch(seen), learning_rate, steps * epochs)
    student.fit(
        _mixtures(dense_model, seen, size),
        steps_per_epoch=steps,
        epochs=epochs,
        callbacks=[PruningCallback(KeepZeros()), best],
        shuffle=False,
        verbose=0,
    )
    if best.divergence >= before:
        return False
    pruned.set_weights(best.weights)
    _keras.variables_of(pruned).sync()
    return True


class _Best(TwoWorldCallback):
    """The weights of the epoch that comes closest to wanted outputs.

    Args:
        x: Inputs.
        wanted: The outputs for them.
        batch_size: Samples that are predicted at once.
    """

    def __init__(self, x: Any, wanted: Any, batch_size: int) -> None:
        super().__init__()
        self._x, self._wanted, self._batch_size = x, wanted, batch_size
        self.divergence, self.weights = np.inf, []

    def divergence_of(self, model: Any) -> float:
        given = model.predict(self._x, batch_size=self._batch_size, verbose=0)
        return divergence(self._wanted, given)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        found = self.divergence_of(self.model)
        if found < self.divergence:
            self.divergence, self.weights = found, self.model.get_weights()


def _split(model: Any, x: Any) -> tuple[Any, Any]:
    """Return the samples that are held out, and those to train on."""
    count, unit = len(next(leaves(x))), _keras.fixed_batch(model) or 1
    if count < max(_LEAST_SAMPLES, 2 * unit):
        raise ValueError(
            f"data are at least {max(_LEAST_SAMPLES, 2 * unit)} samples, as one of "
            f"{_HELD_OUT} is held out. Received: {count}."
        )
    held = max(1, count // _HELD_OUT // unit) * unit
    whole = count // unit * unit
    split = _keras.tree_of(_keras.world(model)).map_structure
    return split(lambda a: a[:held], x), split(lambda a: a[held:whole], x)


def _mixtures(teacher: Any, x: Any, size: int) -> Iterator[tuple[Any, Any]]:
    """Yield batches of inputs and the teacher's outputs for them, without end."""
    random = np.random.default_rng(0)
    count = len(next(leaves(x)))
    are_floats = all(array.dtype.kind == "f" for array in leaves(x))
    each = _keras.tree_of(_keras.world(teacher)).map_structure
    while True:
        one, other = random.integers(count, size=(2, size))
        share = random.uniform(size=size)

        def mixed(
            array: np.ndarray,
            one: np.ndarray = one,
            other: np.ndarray = other,
            share: np.ndarray = share,
        ) -> np.ndarray:
            if not are_floats:
                return array[one]
            shares = share.reshape(-1, *[1] * (array.ndim - 1)).astype(array.dtype)
            return shares * array[one] + (1 - shares) * array[other]

        batch = each(mixed, x)
        yield batch, teacher.predict_on_batch(batch)


def _compile(model: Any, targets: Any, rate: float, steps: int) -> None:
    K = _keras.world(model)
    split = _keras.tree_of(K).map_structure
    schedule = K.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(
        K.optimizers.Adam(schedule),
        loss=split(lambda array: _loss(K, array), targets),
        loss_weights=split(_loss_weight, targets),
    )


def _loss(K: Any, targets: np.ndarray) -> Any:
    """Return the cross-entropy for probabilities, or the squared error."""
    if not _keras.are_probabilities(targets):
        return K.losses.MeanSquaredError()
    if targets.shape[-1] == 1:
        return K.losses.BinaryCrossentropy()
    return K.losses.CategoricalCrossentropy()


def _loss_weight(targets: np.ndarray) -> float:
    """Return the weight that makes a squared error relative to the variance."""
    if _keras.are_probabilities(targets):
        return 1.0
    return 1 / (float(targets.var()) or 1.0)
