"""quantize_aware and strip_quantization: what becomes of a model."""

import keras
import models
import numpy as np
import pytest
import qat_models
import tensorflow as tf
import tf_keras
from marks import slow

import keras_prune_kit as kpk
from keras_prune_kit.quantization.rounding import compact
from keras_prune_kit.tflite.flatbuffer import float_operator_names


def sample(model, count=32, seed=0):
    """Random inputs in the structure that the model takes."""
    rng = np.random.default_rng(seed)

    def array(tensor):
        if "int" in tensor.dtype:
            return rng.integers(0, 20, (count, *tensor.shape[1:]))
        return rng.normal(size=(count, *tensor.shape[1:])).astype("float32")

    arrays = {tensor.name: array(tensor) for tensor in model.inputs}
    if isinstance(getattr(model, "_inputs_struct", None), dict):
        return arrays
    return list(arrays.values()) if len(arrays) > 1 else next(iter(arrays.values()))


def settle(model, x):
    """Gives a model its ranges, and its normalizations this batch's statistics."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    for _ in range(2):
        model(x, training=True)
    return model


def outputs_of(model, x):
    return [np.asarray(output) for output in keras.tree.flatten(model(x))]


SLOW = ("unet", "mobilenet", "resnet", "einsum")


@pytest.mark.parametrize(
    "name",
    # Their files are compared with them in test_quantized_files.py, all of them.
    [slow(n) if n in SLOW else n for n in qat_models.ZOO],
)
def test_every_architecture_is_quantized_and_stripped(name):
    model = qat_models.ZOO[name]()
    x = sample(model)
    before = [np.array(weight) for weight in model.get_weights()]
    quantized, report = kpk.quantize_aware(model)
    assert not report.skipped
    assert {text.partition(" ")[0] for _, text in report.layers} <= {"int8", "folded"}
    # Without a range there is only the rounding of 8-bit weights.
    for old, new in zip(outputs_of(model, x), outputs_of(quantized, x), strict=True):
        np.testing.assert_allclose(old, new, atol=0.03 * max(1, np.ptp(old)))
    settle(quantized, x)
    stripped = kpk.strip_quantization(quantized)
    assert type(stripped) is type(quantized) is type(model)
    assert [layer.name for layer in stripped.layers] == [
        layer.name for layer in model.layers
    ]
    assert [w.shape for w in stripped.weights] == [w.shape for w in model.weights]
    for old, new in zip(outputs_of(quantized, x), outputs_of(stripped, x), strict=True):
        np.testing.assert_allclose(old, new, atol=0.06 * np.ptp(old) + 1 / 256)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_the_copy_has_the_same_layers_under_the_same_names():
    model = qat_models.nested()
    quantized, report = kpk.quantize_aware(model, weight_bits=4)
    assert report.layers[:2] == (
        ("encoder/inside", "int4"),
        ("encoder/normalization", "folded into inside"),
    )
    assert "folded into inside" in str(report)
    found = [w.path for w in kpk.PrunePolicy(0.5).plan(quantized).weights]
    assert found == [w.path for w in kpk.PrunePolicy(0.5).plan(model).weights]
    rules = [kpk.Rule("encoder/.*", 0.3), kpk.Rule(keras.layers.Dense, None)]
    plan = kpk.PrunePolicy(0.5, rules).plan(quantized)
    assert [w.path for w in plan.weights] == ["encoder/inside/kernel"]
    assert [item.path for item in plan.skipped] == [
        "encoder/inside/normalization",
        "outside/kernel",
    ]


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (8, "int8"),
        (6, "6 bits in int8"),
        (5, "5 bits in int8"),
        (4, "int4"),
        (3, "3 bits in int4"),
        (2, "2 bits in int4"),
    ],
)
def test_weights_have_as_many_levels_as_bits_allow(bits, text):
    model = qat_models.cnn()
    quantized, report = kpk.quantize_aware(model, weight_bits=bits)
    assert dict(report.layers)["third"] == text
    stripped = kpk.strip_quantization(quantized)
    kernel = stripped.get_layer("third").kernel.numpy()
    assert 3 <= len(np.unique(kernel)) <= 2**bits - 1
    for channel in np.moveaxis(stripped.get_layer("second").kernel.numpy(), -1, 0):
        assert len(np.unique(channel)) <= 2**bits - 1


def test_low_bits_start_from_a_good_step():
    """The error that rounding adds at 2 bits, against steps from the largest value."""
    kernel = np.random.default_rng(0).standard_t(3, (64, 32)).astype("float32")
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32)])
    model.layers[0].kernel.assign(kernel)
    quantized = kpk.quantize_aware(model, weight_bits=2).model
    rounded = kpk.strip_quantization(quantized).layers[0].kernel.numpy()
    widest = np.abs(kernel).max()
    naive = np.rint(kernel / widest) * widest
    assert np.square(rounded - kernel).sum() < 0.7 * np.square(naive - kernel).sum()


def test_a_folded_normalization_trains_as_it_did():
    """In training the batch normalizes: the same as without folding.

    But its scale is that of the file, where steps are rounded by a sixteenth at most.
    """
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.BatchNormalization(momentum=0.5, name="bn"),
        ]
    )
    x = sample(model)
    quantized = kpk.quantize_aware(model).model
    expected = model(x, training=True)
    found = quantized(x, training=True)
    np.testing.assert_allclose(found, expected, atol=0.1, rtol=1 / 16)
    inner = quantized.layers[-1].normalization
    for name in ("moving_mean", "moving_variance"):
        np.testing.assert_allclose(
            getattr(inner, name), getattr(model.get_layer("bn"), name), rtol=0.02
        )


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_rounding_before_and_after_folding_is_the_same(bits):
    """Inference folds before it rounds; training rounds, then normalizes."""
    model = qat_models.separable()
    x = sample(model, 64)
    quantized = settle(kpk.quantize_aware(model, weight_bits=bits).model, x)
    trained = quantized(x, training=True).numpy()
    found = quantized(x, training=False).numpy()
    np.testing.assert_allclose(found, trained, atol=0.05 * np.ptp(trained))


@pytest.mark.parametrize("bits", [8, 4])
def test_a_deep_network_computes_in_inference_as_it_learned(bits):
    """What each layer's scale is off by adds up, above all beside a large mean."""
    gamma = keras.initializers.RandomUniform(0.5, 1.5)
    inputs = x = keras.Input((6, 6, 8))
    for _ in range(8):
        x = keras.layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization(scale=False)(x)
        x = keras.layers.ReLU(6.0)(x)
        x = keras.layers.Conv2D(8, 1)(x)
        x = keras.layers.BatchNormalization(gamma_initializer=gamma)(x)
        x = keras.layers.ReLU(6.0)(x)
    model = keras.Model(inputs, x)
    x = sample(model, 64) + np.float32(1)
    quantized = settle(kpk.quantize_aware(model, weight_bits=bits).model, x)
    settle(quantized, x)
    trained = quantized(x, training=True).numpy()
    found = quantized(x, training=False).numpy()
    error = np.sqrt(np.mean((found - trained) ** 2))
    assert error < 0.05 * np.std(trained)
    stripped = kpk.strip_quantization(quantized)(x, training=False).numpy()
    assert np.sqrt(np.mean((stripped - trained) ** 2)) < 0.2 * np.std(trained)


def test_a_dense_layer_is_rounded_as_its_normalization_scales_it():
    """One step serves all outputs, so it has to be the folded kernel's."""
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(16, use_bias=False),
            keras.layers.BatchNormalization(),
        ]
    )
    kernel, normalization = model.layers[0].kernel, model.layers[1]
    normalization.gamma.assign(np.linspace(-2, 2, 16))
    normalization.moving_variance.assign(np.linspace(0.1, 4, 16))
    scale = normalization.gamma / np.sqrt(normalization.moving_variance + 1e-3)
    step = float(compact(np.float32(np.abs(kernel * scale).max() / 127)))
    levels = np.rint(kernel * scale / step)
    stripped = kpk.strip_quantization(kpk.quantize_aware(model).model)
    rounded = stripped.layers[0].kernel * scale
    np.testing.assert_allclose(rounded, levels * step, atol=1e-5)


def test_layers_that_stay_float_have_reasons():
    inputs = keras.Input((6, 8))
    x = keras.layers.Dense(8, activation="elu", name="elu")(inputs)
    x = keras.layers.LSTM(8, return_sequences=True, name="lstm")(x)
    x = keras.layers.LayerNormalization(name="norm")(x)
    x = keras.layers.Dense(8, name="dense")(x)
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: 2 * x, name="twice")(x))
    _, report = kpk.quantize_aware(model)
    assert dict(report.layers) == {
        "elu": "int8, its activation in float",
        "dense": "int8",
    }
    reasons = {item.path: item.reason for item in report.skipped}
    assert set(reasons) == {"lstm", "norm", "twice"}
    assert "no int8 operator for LSTM" in reasons["lstm"]
    assert "skipped norm: .tflite has no int8 operator" in str(report)


def test_the_last_axis_can_be_counted_from_either_end():
    def reports(shape, axis):
        layers = [keras.layers.Dense(3), keras.layers.Softmax(axis=axis, name="top")]
        model = keras.Sequential([keras.Input(shape), *layers])
        return model, kpk.quantize_aware(model)

    for shape, axis in ((5,), 1), ((4, 5), 2), ((4, 5), -1):
        _, (_, report) = reports(shape, axis)
        assert not report.skipped
    _, (_, report) = reports((4, 5), 1)
    assert (
        report.skipped[0].reason == ".tflite computes softmax over the last axis only"
    )

    model, (quantized, _) = reports((5,), 1)
    x = sample(model)
    settle(quantized, x)
    exported = kpk.export_tflite(quantized, quantization="int8")
    assert "SOFTMAX" not in float_operator_names(exported.bytes)
    expected = quantized.predict(x, verbose=0)
    np.testing.assert_allclose(exported.predict(x), expected, atol=0.01)


def test_layers_of_ones_own_stay_float():
    quantized, report = kpk.quantize_aware(models.dense_subclass(keras))
    assert "Loud is not a built-in Keras layer" in report.skipped[0].reason
    assert len(report.layers) == 1
    assert type(quantized.layers[0]).__name__ == "Loud"


@pytest.mark.parametrize(
    "skip",
    [
        "first",
        "fir.*",
        lambda layer: layer.name == "first",
        ["fir.*", "first"],
    ],
)
def test_skip_leaves_layers_float(skip):
    quantized, report = kpk.quantize_aware(qat_models.cnn(), skip=skip)
    assert [(item.path, item.reason) for item in report.skipped] == [("first", "skip")]
    assert type(quantized.get_layer("first")) is keras.layers.Conv2D


def test_skip_takes_a_class_and_what_is_in_a_model():
    _, report = kpk.quantize_aware(qat_models.cnn(), skip=keras.layers.Dense)
    assert [item.path for item in report.skipped] == ["third", "classifier"]
    quantized, report = kpk.quantize_aware(qat_models.nested(), skip="encoder")
    assert "encoder" in [item.path for item in report.skipped]
    assert [path for path, _ in report.layers] == ["outside"]
    assert type(quantized.get_layer("encoder")) is keras.Sequential


def test_shared_layers_stay_shared_and_are_rounded_where_they_are_called():
    quantized = kpk.quantize_aware(qat_models.siamese()).model
    names = [layer.name for layer in quantized.layers]
    assert names.count("twin") == 1
    assert {"relu_range", "relu_range_2", "left_range", "right_range"} <= set(names)


def test_names_of_outputs_and_losses_by_name_stay():
    model = qat_models.two_heads()
    model.compile("sgd", {"kind": "categorical_crossentropy", "place": "mse"})
    quantized = kpk.quantize_aware(model).model
    assert list(quantized.output) == ["kind", "place"]
    assert quantized.output_names == model.output_names
    x = sample(model)
    y = {"kind": np.eye(3)[np.zeros(32, int)], "place": np.zeros((32, 2))}
    quantized.fit(x, y, verbose=0)


def test_frozen_layers_stay_frozen():
    model = qat_models.cnn()
    model.get_layer("first").trainable = False
    quantized = kpk.quantize_aware(model).model
    assert [w.path for w in quantized.trainable_weights] == [
        f"{name}/{name}/{what}"
        for name in ("second", "third", "classifier")
        for what in ("kernel", "bias")
    ]


def test_regularizers_go_along():
    layer = keras.layers.Dense(
        4, kernel_regularizer="l2", activity_regularizer="l1", name="dense"
    )
    model = keras.Sequential([keras.Input((8,)), layer])
    quantized = kpk.quantize_aware(model).model
    x = sample(model)
    model(x), quantized(x)
    assert len(quantized.losses) == len(model.losses) == 2
    np.testing.assert_allclose(quantized.losses, model.losses, rtol=0.01)


@pytest.mark.quick_in("keras")
def test_both_worlds_return_the_same_record(K):
    model = models.sequential(K)
    model.compile("sgd", "mse")
    quantized, report = kpk.quantize_aware(model)
    assert isinstance(report, type(kpk.quantize_aware(models.residual(K)).report))
    assert all(len(pair) == 2 for pair in report.layers)
    x = np.ones((8, 8), "float32")
    quantized.fit(x, np.zeros((8, 3)), verbose=0)
    stripped = kpk.strip_quantization(quantized)
    assert len(stripped.layers) == len(model.layers)
    np.testing.assert_allclose(
        stripped.predict(x, verbose=0), quantized.predict(x, verbose=0), atol=0.1
    )
    assert stripped.optimizer is not None


def test_tf_keras_models_can_skip_layers():
    model = models.sequential(tf_keras)
    first = model.layers[0].name
    _, report = kpk.quantize_aware(model, skip=first)
    assert [(item.path, item.reason) for item in report.skipped] == [(first, "skip")]


class TestBadInput:
    @pytest.mark.parametrize("bits", [1, 7, 16, 0, -8, "8", 4.5, None, True])
    def test_bits(self, K, bits):
        with pytest.raises(ValueError, match=r"weight_bits is one of \(8, 6, 5, 4, 3"):
            kpk.quantize_aware(models.sequential(K), weight_bits=bits)

    def test_few_bits_on_keras_2(self):
        with pytest.raises(
            ValueError, match="weight_bits=4. Fewer bits need a Keras 3"
        ):
            kpk.quantize_aware(models.sequential(tf_keras), weight_bits=4)

    def test_no_model(self):
        for item in (3, None, keras.layers.Dense(2)):
            with pytest.raises(TypeError, match="A model of keras"):
                kpk.quantize_aware(item)
            with pytest.raises(TypeError, match="A model of keras"):
                kpk.strip_quantization(item)

    def test_not_built(self, K):
        model = K.Sequential([K.layers.Dense(3)])
        with pytest.raises(ValueError, match="is not built"):
            kpk.quantize_aware(model)

    def test_subclassed(self, K):
        with pytest.raises(ValueError, match="needs a Sequential or functional model"):
            kpk.quantize_aware(models.subclassed(K))

    def test_nothing_to_quantize(self):
        model = keras.Sequential([keras.Input((8,)), keras.layers.LayerNormalization()])
        message = "No layer of model .* has a kernel to quantize.\nskipped layer_norm"
        with pytest.raises(ValueError, match=message):
            kpk.quantize_aware(model)
        with pytest.raises(ValueError, match="has a kernel to quantize"):
            kpk.quantize_aware(models.sequential(keras), skip=".*")

    def test_quantized_already(self, K):
        quantized = kpk.quantize_aware(models.sequential(K)).model
        with pytest.raises(ValueError, match="is quantization-aware already"):
            kpk.quantize_aware(quantized)

    def test_quantized_by_keras(self):
        model = models.sequential(keras)
        model.layers[0].quantize("int8")
        with pytest.raises(ValueError, match="is quantized already"):
            kpk.quantize_aware(model)

    @pytest.mark.parametrize("policy", ["mixed_float16", "bfloat16"])
    def test_precision(self, policy):
        keras.config.set_dtype_policy(policy)
        with pytest.raises(ValueError, match="computes in float32. Received: layer"):
            kpk.quantize_aware(models.sequential(keras))

    @pytest.mark.parametrize(
        ("skip", "error", "message"),
        [
            ("nobody", ValueError, "'nobody' covers no layer of the model"),
            (tf_keras.layers.Dense, ValueError, "Dense covers no layer"),
            ("(", ValueError, "a regex that compiles"),
            (3, TypeError, "skip is a regex"),
        ],
    )
    def test_skip(self, skip, error, message):
        with pytest.raises(error, match=message):
            kpk.quantize_aware(models.sequential(keras), skip=skip)

    def test_nothing_to_strip(self, K):
        with pytest.raises(ValueError, match="There is nothing to strip"):
            kpk.strip_quantization(models.sequential(K))

    def test_the_model_stays_as_it_was(self):
        model = models.sequential(keras)
        model.compile("sgd", "mse")
        before = [model.get_config(), *model.get_weights()]
        with pytest.raises(ValueError, match="covers no layer"):
            kpk.quantize_aware(model, skip="nobody")
        after = [model.get_config(), *model.get_weights()]
        assert str(before) == str(after)
        assert tf.is_tensor(model(np.ones((1, 8), "float32")))


@pytest.mark.quick_in("keras")
def test_layers_that_stay_float_keep_their_zeros(K):
    """Recurrent kernels are pruned like others, but not rounded in training."""
    model = K.Sequential(
        [
            K.layers.Input((6, 8)),
            K.layers.Dense(8, name="rounded"),
            K.layers.LSTM(8, name="float"),
            K.layers.Dense(3),
        ]
    )
    x, y = np.random.default_rng(0).normal(size=(32, 6, 8)), np.ones((32, 3))
    model.compile("sgd", "mse")
    pruning = kpk.PruningCallback(kpk.ConstantSparsity(0.75))
    model.fit(x, y, verbose=0, callbacks=[pruning])

    quantized = kpk.quantize_aware(model).model
    quantized.fit(x, y, epochs=2, verbose=0)

    layer = next(layer for layer in quantized.layers if layer.name == "float")
    kernels = [weight.numpy() for weight in layer.weights[:2]]
    assert [int((kernel == 0).sum()) for kernel in kernels] == [192, 192]
    free = kpk.quantize_aware(model, preserve_sparsity=False).model
    free.fit(x, y, epochs=2, verbose=0)
    layer = next(layer for layer in free.layers if layer.name == "float")
    assert np.all(layer.weights[0].numpy())


def test_embeddings_keep_their_zeros():
    model = qat_models.text()
    model.compile("adam", "mse")
    x, y = np.arange(48).reshape(8, 6) % 20, np.ones((8, 3))
    pruning = kpk.PruningCallback(kpk.ConstantSparsity(0.75))
    model.fit(x, y, verbose=0, callbacks=[pruning])

    quantized = kpk.quantize_aware(model).model
    quantized.fit(x, y, epochs=2, verbose=0)

    assert {w.sparsity for w in kpk.sparsity_report(quantized).weights} == {0.75}


@pytest.mark.parametrize("dilation", [1, 2])
def test_a_causal_convolution_looks_back_as_far_as_it_is_dilated(dilation):
    layer = keras.layers.Conv1D(4, 3, padding="causal", dilation_rate=dilation)
    model = keras.Sequential([keras.layers.Input((12, 3)), layer])
    x = np.random.default_rng(0).normal(size=(64, 12, 3)).astype("float32")
    model.compile("sgd", "mse")
    quantized = kpk.quantize_aware(model).model
    quantized(x, training=True)  # finds the ranges
    right = model.predict(x, verbose=0)
    assert np.abs(quantized.predict(x, verbose=0) - right).max() < 0.05 * np.ptp(right)
