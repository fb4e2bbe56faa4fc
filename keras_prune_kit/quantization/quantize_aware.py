"""The public functions of quantization-aware training, for Keras 3 and `tf_keras`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_prune_kit import _keras, tfmot
from keras_prune_kit._tools.checks import check_flag
from keras_prune_kit.policies import (
    Match,
    WeightBits,
    bits_of_layers,
    check_weight_bits,
)
from keras_prune_kit.reports import Converted
from keras_prune_kit.tflite import check_exportable


def quantize_aware(
    model: Any,
    *,
    weight_bits: WeightBits = 8,
    preserve_sparsity: bool = True,
    skip: Match | None = None,
) -> Converted:
    """Copy a model and add fake quantization, so that it trains with int8 rounding.

    Train the copy for a few epochs, at about a tenth of the original learning rate,
    then export it: `kpk.export_tflite(model, quantization="int8")` needs no
    representative dataset, because training learns the ranges of activations.
    `PruningCallback` works on the copy as on any model, with the same paths and rules,
    so pruning and quantization can be trained together. Or quantize a pruned model,
    whose zeros are kept: this is more stable with many normalizations and few bits.

    On Keras 3 each layer gets a wrapper with the layer's name. Kernels are rounded to
    `2 ** bits - 1` symmetric levels, per channel in convolutions. With 5 bits or more
    the largest magnitude sets the step size; with fewer it is learned (LSQ, Esser et
    al. 2020). Activations have 8 bits and a range that follows the training data.
    A `BatchNormalization` that follows a kernel is folded into it in inference, and
    still normalizes by batch statistics in training. Gradients pass all rounding
    unchanged (straight-through estimator, Bengio et al. 2013).

    .tflite stores kernels in 8 or 4 bits. Kernels of 6 or 5 bits are stored in int8,
    those of 3 or 2 bits in int4: the file is as large, but compresses better.
    `TFLiteModel.unpacked` makes files of 4 bits and fewer as fast as those of 8.

    TFMOT quantizes a `tf_keras` model, in 8 bits, as in `kpk.tfmot.quantize_aware`.

    Args:
        model: A trained Sequential or functional model of Keras 3 or `tf_keras`,
            nested or not, or the path of one (.keras, .h5). It is not changed.
        weight_bits: Bits of a weight: 8, 6, 5, 4, 3 or 2. For each layer its own by a
            mapping such as `{".*": 3, "classifier": 8}`: a key is what `skip` accepts,
            the last one that covers a layer wins, and a layer that none covers has 8
            bits. Defaults to 8.
        preserve_sparsity: If True, a weight that is zero before a training step is
            zero after it, also if a constraint such as `NonNeg` made it zero; a kernel
            of zeros only is free. After saving and loading, this still holds for
            quantized layers, but not for layers that stay float. Defaults to `True`.
        skip: Layers to leave float: a regex that matches the full path of a layer or
            of a layer around it, a layer class, a callable that accepts the layer, or
            a list of these, as in `Rule`. Defaults to `None`.

    Returns:
        The copy, compiled if the original is, and a report of what was done to each
        layer, with a reason for each that stays float.

    Raises:
        ExportError: If the model has string inputs, which .tflite does not support.
        TypeError: If it is not a Keras model, or `skip` or a key of `weight_bits` is of
            another type.
        ValueError: If `weight_bits` are not of these, they or `skip` name a layer that
            the model does not have, or the model is not built, is on the JAX or torch
            backend, is subclassed or quantized already, computes in another precision
            than float32, or has no kernel to quantize.

    Example:

    ```python
    quantized, report = kpk.quantize_aware(model, weight_bits=4)
    quantized.fit(x, y, epochs=3, callbacks=[kpk.PruningCallback(0.8)])
    kpk.export_tflite(quantized, "model.tflite", quantization="int8")
    ```
    """
    check_weight_bits(weight_bits)
    check_flag("preserve_sparsity", preserve_sparsity)
    model = _keras.opened(model, compiled=True)
    _keras.world(model)
    _keras.check_built(model)
    _keras.check_not_wrapped(model)
    if _keras.is_quantization_aware(model):
        raise ValueError(
            f"Model '{model.name}' is quantization-aware already. Continue to train "
            "it, or start from kpk.strip_quantization(model)."
        )
    check_exportable(model)
    _check_backend(model)
    bits = bits_of_layers(model, weight_bits)
    if _keras.is_tf_keras(model):
        return _quantize_with_tfmot(model, weight_bits, preserve_sparsity, skip)
    # Imported late: it defines Keras 3 layers, which tf_keras does not need.
    from keras_prune_kit.quantization import keras_3

    return keras_3.quantize(model, bits, preserve_sparsity, skip)


def strip_quantization(model: Any) -> Any:
    """Copy a quantization-aware model as a plain float model.

    For another export, further training in float, or a look at the weights. Kernels
    keep their rounded values, so they have as few distinct ones; folded normalizations
    are layers again. The copy computes the same except that it does not round
    activations.

    Args:
        model: A model from `quantize_aware` of Keras 3 or `tf_keras`, or the path of
            one. It is not changed.

    Returns:
        An ordinary model, compiled if the quantization-aware one is.

    Raises:
        TypeError: If it is not a Keras model.
        ValueError: If it is not quantization-aware.

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
            "There is nothing to strip: no layer is quantization-aware. Received: "
            f"model '{model.name}'. Pass the model that kpk.quantize_aware returns."
        )
    if _keras.is_tf_keras(model):
        return tfmot.strip_quantization(model)
    from keras_prune_kit.quantization import keras_3

    return keras_3.strip(model)


def _check_backend(model: Any) -> None:
    backend = _keras.backend_of(model)
    if backend != "tensorflow":
        raise ValueError(
            "Quantization-aware training needs Keras' TensorFlow backend. Received: "
            f"model '{model.name}' on the backend '{backend}'. Call "
            "kpk.compress(model, ..., target='smallest'), which trains it so in a "
            "process under TensorFlow, or load the saved model with "
            "KERAS_BACKEND=tensorflow."
        )


def _quantize_with_tfmot(
    model: Any, weight_bits: WeightBits, preserve_sparsity: bool, skip: Match | None
) -> Converted:
    is_mapping = isinstance(weight_bits, Mapping)
    numbers = weight_bits.values() if is_mapping else (weight_bits,)
    if any(bits != 8 for bits in numbers):
        raise ValueError(
            "TFMOT quantizes tf_keras models to 8-bit weights only. Received: "
            f"weight_bits={weight_bits}. Fewer bits need a Keras 3 model."
        )
    preserve = "sparsity" if preserve_sparsity else "none"
    return tfmot.quantize_aware(model, preserve, skip=skip)
