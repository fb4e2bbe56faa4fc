"""The public functions, for models of either world."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras, tfmot
from keras_prune_kit._tools.checks import check_flag, is_one_of
from keras_prune_kit._tools.quantizations import WEIGHT_BITS
from keras_prune_kit.policies import Match
from keras_prune_kit.reports import Converted
from keras_prune_kit.tflite import check_exportable


def quantize_aware(
    model: Any,
    *,
    weight_bits: int = 8,
    preserve_sparsity: bool = True,
    skip: Match | None = None,
) -> Converted:
    """Copies a model so that it trains as it will compute in an int8 .tflite.

    Train the copy for a few epochs, at a tenth of the first learning rate or so, then
    export it: `kpk.export_tflite(model, quantization="int8")` needs no representative
    data, as the ranges of activations are learned. `PruningCallback` works on the copy
    as on any model, with the same paths and rules, so pruning and quantization can be
    trained together; or quantize a pruned model, whose zeros are kept, which is the
    steadier way where there are many normalizations and few bits.

    On Keras 3 each layer gets a wrapper of its own name. Kernels are rounded
    to `2 * levels + 1` symmetric steps, convolutions with a step for each output; down
    to 5 bits the largest magnitude sets the step, below it is learned (LSQ, Esser et
    al. 2020). Activations have 8 bits and a range that follows the training data.
    A `BatchNormalization` behind a kernel is folded into it in inference, and
    normalizes by the batch in training as it always did. The loss goes straight
    through all rounding (Bengio et al. 2013).

    .tflite packs kernels of 8 and of 4 bits. The levels of 6 and 5 bits ride in int8,
    those of 3 and 2 bits in int4: the file is as large, but compresses better.

    A `tf_keras` model goes to TFMOT, as with `kpk.tfmot.quantize_aware`, in 8 bits.

    Args:
        model: A trained Sequential or functional model of either world, with models
            inside it or not, or the path of one (.keras, .h5). It stays as it is.
        weight_bits: Bits of a weight: 8, 6, 5, 4, 3 or 2. Defaults to 8.
        preserve_sparsity: Whether a weight that is zero before a training step is zero
            after it. Also keeps zeros that a constraint such as `NonNeg` makes; a
            kernel of nothing but zeros is free. A model that is saved and loaded
            keeps those of its quantized layers, no longer those of layers that stay
            float. Defaults to `True`.
        skip: Layers to leave float: a regex that matches the whole of the path (or of
            one it is in), a layer class, a callable that takes the layer, or a list
            of these, as in `Rule`. Defaults to `None`.

    Returns:
        The model, compiled like the original if that was, and a report of what each
        layer became. Layers that stay float have a reason there.

    Raises:
        ExportError: If the model takes texts, which no .tflite does.
        TypeError: If it is not a Keras model, or `skip` is of no known kind.
        ValueError: If `weight_bits` is none of these, `skip` covers no layer, or the
            model is not built, subclassed, quantized already, of another precision
            than float32, or has no kernel to quantize.

    Example:

    ```python
    quantized, report = kpk.quantize_aware(model, weight_bits=4)
    quantized.fit(x, y, epochs=3, callbacks=[kpk.PruningCallback(0.8)])
    kpk.export_tflite(quantized, "model.tflite", quantization="int8")
    ```
    """
    if not is_one_of(weight_bits, WEIGHT_BITS):
        raise ValueError(
            f"weight_bits is one of {WEIGHT_BITS}. Received: {weight_bits!r}."
        )
    check_flag("preserve_sparsity", preserve_sparsity)
    model = _keras.opened(model, compiled=True)
    _keras.world(model)
    _keras.check_built(model)
    _keras.check_not_wrapped(model)
    if _keras.is_quantization_aware(model):
        raise ValueError(
            f"Model '{model.name}' trains quantized already. Train it on as it is, or "
            "start from kpk.strip_quantization(model)."
        )
    check_exportable(model)
    if _keras.is_tf_keras(model):
        return _quantize_with_tfmot(model, weight_bits, preserve_sparsity, skip)
    # Here, because it defines layers of Keras 3, which tf_keras does not need.
    from keras_prune_kit.quantization import keras_3

    return keras_3.quantize(model, weight_bits, preserve_sparsity, skip)


def strip_quantization(model: Any) -> Any:
    """Copies a model that was trained quantized as a plain one.

    For whatever is to be done in float: another export, training on, a look at the
    weights. Its kernels have the values that they were rounded to, so it has as few
    different ones; normalizations are layers again. It computes the same but for the
    rounding of activations.

    Args:
        model: A model from `quantize_aware` of either world, or the path of one. It
            stays as it is.

    Returns:
        An ordinary model, compiled like the other one, if that was.

    Raises:
        TypeError: If it is not a Keras model.
        ValueError: If it was not trained quantized.

    Example:

    ```python
    plain = kpk.strip_quantization(quantized)
    kpk.export_tflite(plain, "model.tflite", quantization="float16")
    ```
    """
    model = _keras.opened(model, compiled=True)
    _keras.world(model)
    if not _keras.is_quantization_aware(model):
        raise ValueError(
            "There is nothing to strip: no layer trains quantized. Received: model "
            f"'{model.name}'. Pass the model that kpk.quantize_aware returns."
        )
    if _keras.is_tf_keras(model):
        return tfmot.strip_quantization(model)
    from keras_prune_kit.quantization import keras_3

    return keras_3.strip(model)


def _quantize_with_tfmot(
    model: Any, weight_bits: int, preserve_sparsity: bool, skip: Match | None
) -> Converted:
    if weight_bits != 8:
        raise ValueError(
            "TFMOT trains tf_keras models with 8-bit weights. Received: weight_bits="
            f"{weight_bits}. Fewer bits need a Keras 3 model."
        )
    preserve = "sparsity" if preserve_sparsity else "none"
    return tfmot.quantize_aware(model, preserve, skip=skip)
