"""Exported files are shrunk: they compute bit for bit the same in fewer bytes."""

import zlib

import keras
import models
import numpy as np
import pytest
import qat_models
from ai_edge_litert import schema_py_generated as schema

import keras_prune_kit as kpk
from keras_prune_kit.tflite import constants, convert, flatbuffer, macs
from keras_prune_kit.tflite.constants import pack_values, unpack_values
from keras_prune_kit.tflite.shrinking import shrink, sorting
from keras_prune_kit.tflite.shrinking.packing import pack, unpack

L = keras.layers


@pytest.fixture
def both(monkeypatch):
    """A file as the converter gives it, and the same one shrunk."""

    def export(model, **options):
        with monkeypatch.context() as patch:
            patch.setattr(convert, "shrink", lambda content: content)
            whole = kpk.export_tflite(model, **options)
        return whole, kpk.TFLiteModel(shrink(whole.bytes))

    return export


def samples(count, *shape):
    return np.random.default_rng(0).random((count, *shape), "float32")


def sparsify(model):
    """Zeros, in some channels more than in others; biases that differ."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if len(weight.shape) > 1:
            chance = np.linspace(0.9, 0.2, weight.shape[-1])
            weight.assign(weight.numpy() * (rng.random(weight.shape) > chance))
        elif "bias" in weight.name:
            weight.assign(rng.normal(0, 0.1, weight.shape))
    return model


def convnet(K):
    return sparsify(
        K.Sequential(
            [
                K.layers.Input((8, 8, 2)),
                K.layers.Conv2D(8, 3, activation="relu", name="first"),
                K.layers.MaxPooling2D(),
                K.layers.Conv2D(8, 3, name="second"),
                K.layers.Flatten(),
                K.layers.Dense(12, activation="relu", name="hidden"),
                K.layers.Dense(3, activation="softmax"),
            ]
        )
    )


def residual():
    x = L.Conv2D(8, 3, padding="same", activation="relu")(inputs := L.Input((8, 8, 2)))
    x = L.Add()([x, L.Conv2D(8, 3, padding="same", activation="relu")(x)])
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(x)))


def in_groups():
    layers = (L.Conv2D(8, 3), L.Conv2D(8, 3, groups=2), L.Conv2D(4, 1), L.Flatten())
    return keras.Sequential([L.Input((8, 8, 2)), *layers])


def multiplied():
    layers = (L.Conv2D(8, 3), L.DepthwiseConv2D(3, depth_multiplier=2), L.Conv2D(4, 1))
    return keras.Sequential([L.Input((8, 8, 2)), *layers, L.Flatten()])


def used_twice():
    inputs = L.Input((8,))
    twice = L.Dense(8, activation="relu")
    return keras.Model(inputs, L.Dense(3)(twice(twice(inputs))))


def report(exported):
    return [(w.path, w.shape, w.zeros) for w in exported.sparsity_report().weights]


def stored(exported):
    """The values of each weight, by its name."""
    return {c.name: c.stored for c in constants(exported.bytes) if c.is_weight}


def kernel(exported, part):
    return next(values for name, values in stored(exported).items() if part in name)


def nonzeros(values):
    return np.count_nonzero(values.reshape(len(values), -1), axis=1)


@pytest.mark.each_value
@pytest.mark.parametrize(
    "quantization", ["none", "float16", "dynamic", "int8", "int16x8"]
)
def test_it_computes_bit_for_bit_the_same(K, both, quantization):
    x, options = samples(20, 8, 8, 2), {"quantization": quantization}
    if quantization.startswith("int"):
        options["representative_data"] = x
    whole, shrunk = both(convnet(K), **options)
    np.testing.assert_array_equal(shrunk.predict(x), whole.predict(x))
    for before, after in zip(report(whole), report(shrunk), strict=True):
        assert after[:2] == before[:2]
        assert after[2] >= before[2]  # more where nothing uses a channel
    assert shrunk.gzip_bytes < whole.gzip_bytes - 250
    assert shrunk.inputs == whole.inputs
    assert shrunk.outputs == whole.outputs
    assert shrink(shrunk.bytes) == shrunk.bytes


def test_what_is_exported_is_shrunk(K, both):
    model = convnet(K)
    _, shrunk = both(model)
    assert kpk.export_tflite(model).bytes == shrunk.bytes


@pytest.mark.each_value
@pytest.mark.parametrize("weight_bits", [8, 4])
@pytest.mark.parametrize("name", ["cnn", "mobilenet", "mlp"])
def test_channels_of_models_trained_quantized_are_sorted(both, name, weight_bits):
    model = sparsify(getattr(qat_models, name)())
    quantized = kpk.quantize_aware(model, weight_bits=weight_bits).model
    x = samples(64, *model.input_shape[1:])
    quantized(x, training=True)
    whole, shrunk = both(quantized, quantization="int8")
    np.testing.assert_array_equal(shrunk.predict(x), whole.predict(x))
    moved = [
        not np.array_equal(before, after)
        for before, after in zip(
            stored(whole).values(), stored(shrunk).values(), strict=True
        )
    ]
    assert sum(moved) >= 3


def test_channels_keep_their_weights_in_an_order_that_deflates_better(both):
    quantized = kpk.quantize_aware(convnet(keras)).model
    quantized(samples(64, 8, 8, 2), training=True)
    whole, shrunk = both(quantized, quantization="int8")

    def deflated_bytes(file):
        return sum(
            len(zlib.compress(values.tobytes(), 9)) for values in stored(file).values()
        )

    def channels(file):
        made, taken = kernel(file, "first"), kernel(file, "second")
        return [(made[i].tobytes(), taken[..., i].any()) for i in range(len(made))]

    assert channels(shrunk) != channels(whole)
    assert sorted(channels(shrunk)) == sorted(channels(whole))
    assert deflated_bytes(shrunk) < deflated_bytes(whole)


def test_channels_of_large_files_are_in_the_order_of_their_weights(both, monkeypatch):
    monkeypatch.setattr(sorting, "_MOST_BYTES", 0)
    quantized = kpk.quantize_aware(convnet(keras)).model
    quantized(x := samples(64, 8, 8, 2), training=True)
    whole, shrunk = both(quantized, quantization="int8")
    np.testing.assert_array_equal(shrunk.predict(x), whole.predict(x))
    unsorted, together = (
        nonzeros(kernel(file, "first"))
        + nonzeros(np.moveaxis(kernel(file, "second"), 3, 0))
        for file in (whole, shrunk)
    )
    assert (np.diff(unsorted) < 0).any()
    assert (np.diff(together) >= 0).all()
    assert shrink(shrunk.bytes) == shrunk.bytes


def test_what_makes_an_unused_channel_is_cleared(both):
    model = convnet(keras)
    first, second = model.get_layer("first").kernel, model.get_layer("second").kernel
    first.assign(samples(3, 3, 2, 8) + 0.1)
    is_fourth = np.arange(8)[:, None] == 3
    second.assign(np.where(is_fourth, 0, samples(3, 3, 8, 8) + 0.1))
    x = samples(40, 8, 8, 2)
    whole, shrunk = both(model, quantization="int8", representative_data=x)
    np.testing.assert_array_equal(shrunk.predict(x), whole.predict(x))
    before, after = kernel(whole, "first"), kernel(shrunk, "first")
    assert nonzeros(before).tolist() == [18] * 8
    assert sorted(nonzeros(after).tolist()) == [0] + [18] * 7


def test_an_unused_channel_has_the_scale_of_a_used_one(both):
    model = convnet(keras)
    second = model.get_layer("second").kernel
    second.assign(np.where(np.arange(8)[:, None] == 3, 0, samples(3, 3, 8, 8) + 0.1))
    x = samples(40, 8, 8, 2)
    whole, shrunk = both(model, quantization="int8", representative_data=x)
    (before,), (after,) = (
        [
            c.scale.ravel()
            for c in constants(file.bytes)
            if c.is_weight and "first" in c.name
        ]
        for file in (whole, shrunk)
    )
    assert len(set(before.tolist())) == 8
    assert len(set(after.tolist())) == 7
    assert set(after.tolist()) < set(before.tolist())


@pytest.mark.parametrize("build", [residual, in_groups, multiplied, used_twice])
def test_what_is_not_in_a_straight_line_stays(both, build):
    model = sparsify(build())
    x = samples(32, *model.input_shape[1:])
    whole, shrunk = both(model, quantization="int8", representative_data=x)
    np.testing.assert_array_equal(shrunk.predict(x), whole.predict(x))


@pytest.mark.each_value
@pytest.mark.parametrize("seed", range(6))
def test_any_chain_of_layers_computes_the_same(both, seed):
    rng = np.random.default_rng(seed)
    kinds = (
        lambda: L.Conv2D(8, 3, padding="same", activation="relu"),
        lambda: L.Conv2D(8, 3, padding="same", groups=int(rng.choice([2, 4, 8]))),
        lambda: L.DepthwiseConv2D(3, depth_multiplier=int(rng.integers(1, 3))),
        lambda: L.SeparableConv2D(8, 3, depth_multiplier=2),
        lambda: L.BatchNormalization(),
        lambda: L.MaxPooling2D(padding="same"),
        lambda: L.ZeroPadding2D(),
        lambda: L.ReLU(6.0),
    )
    layers = [kinds[kind]() for kind in rng.integers(0, len(kinds), 6)]
    head = (L.Conv2D(8, 1), L.Flatten(), L.Dense(6, activation="relu"), L.Dense(3))
    model = sparsify(keras.Sequential([L.Input((16, 16, 8)), *layers, *head]))
    x = samples(16, 16, 16, 8)
    whole, shrunk = both(model, quantization="int8", representative_data=x)
    np.testing.assert_array_equal(shrunk.predict(x), whole.predict(x))


def test_a_flatten_needs_no_operators_of_its_own(both):
    whole, shrunk = both(convnet(keras))
    assert {"SHAPE", "PACK"} <= set(whole.operators)
    gone = {"SHAPE", "STRIDED_SLICE", "PACK"}
    assert set(shrunk.operators) == set(whole.operators) - gone
    for count in (1, 7):
        x = samples(count, 8, 8, 2)
        np.testing.assert_array_equal(shrunk.predict(x), whole.predict(x))


@pytest.mark.each_value
@pytest.mark.parametrize("io_dtype", ["float32", "int8"])
@pytest.mark.parametrize("first", ["convolution", "flatten"])
def test_integer_layers_flatten_by_themselves(both, first, io_dtype):
    model, x = convnet(keras), samples(40, 8, 8, 2)
    if first == "flatten":
        layers = [L.Flatten(), L.Dense(16, activation="relu"), L.Dense(3)]
        model = sparsify(keras.Sequential([L.Input((8, 8, 2)), *layers]))
    whole, shrunk = both(
        model, quantization="int8", representative_data=x, io_dtype=io_dtype
    )
    assert "RESHAPE" in flatbuffer.operator_names(whole.bytes)
    assert "RESHAPE" not in flatbuffer.operator_names(shrunk.bytes)
    for count in (1, 7, 40):
        for size in (1, 3, 64):
            np.testing.assert_array_equal(
                shrunk.predict(x[:count], size), whole.predict(x[:count], size)
            )
    assert macs(shrunk.bytes) == macs(whole.bytes)
    assert shrink(shrunk.bytes) == shrunk.bytes


def flat_for_others():
    """A flatten that is an output, one that is added to, and one of two readers."""
    inputs = L.Input((4, 6))
    flat = L.Flatten()(inputs)
    one, other = L.Dense(8)(flat), L.Dense(24)(flat)
    return keras.Model(inputs, [L.Dense(3)(one), L.Add()([flat, other])])


def rows_of_rows():
    """Layers that keep the axes of their inputs."""
    inputs = L.Input((4, 6))
    x = L.Dense(8, activation="relu")(L.Reshape((2, 12))(inputs))
    return keras.Model(inputs, L.Dense(3)(x))


@pytest.mark.parametrize("build", [flat_for_others, rows_of_rows])
def test_a_reshape_that_does_something_stays(both, build):
    model, x = sparsify(build()), samples(40, 4, 6)
    whole, shrunk = both(model, quantization="int8", representative_data=x)
    for before, after in zip(whole.predict(x), shrunk.predict(x), strict=True):
        np.testing.assert_array_equal(before, after)
    assert "RESHAPE" in flatbuffer.operator_names(shrunk.bytes)
    assert shrunk.outputs == whole.outputs


def test_small_constants_are_next_to_the_graph(both):
    _, shrunk = both(
        convnet(keras), quantization="int8", representative_data=samples(40, 8, 8, 2)
    )
    found = sorted(constants(shrunk.bytes), key=lambda c: c.position.start)
    kinds = [(c.dtype, c.position.stop - c.position.start) for c in found]
    # Files are written from their end on, which has the graph.
    assert [dtype for dtype, _ in kinds] == ["int8"] * 4 + ["int32"] * 4
    for part in (kinds[:4], kinds[4:]):
        sizes = [size for _, size in part]
        assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) >= 3


def test_loops_and_states_stay(K, both):
    model = K.Sequential(
        [K.layers.Input((6, 4)), K.layers.LSTM(8), K.layers.Dense(2, name="top")]
    )
    whole, shrunk = both(model)
    x = samples(5, 6, 4)
    np.testing.assert_array_equal(shrunk.predict(x), whole.predict(x))
    assert len(shrunk.bytes) < len(whole.bytes)


def test_inputs_are_still_told_apart_by_name(K, both):
    whole, shrunk = both(models.two_in_two_out(K))
    x = {"right": samples(5, 4), "left": samples(5, 8)}
    for before, after in zip(whole.predict(x), shrunk.predict(x), strict=True):
        np.testing.assert_array_equal(before, after)
    names = [item.name for item in shrunk.inputs + shrunk.outputs]
    assert names == ["left", "right", "kind", "place"]


@pytest.mark.quick_in("keras")
def test_sparse_storage_keeps_its_positions(K, both):
    whole, shrunk = both(convnet(K), sparse_storage=True)
    x = samples(5, 8, 8, 2)
    np.testing.assert_array_equal(shrunk.predict(x), whole.predict(x))
    assert report(shrunk) == report(whole)


def names(exported):
    graphs = unpack(exported.bytes).subgraphs
    return [tensor.name.decode() for graph in graphs for tensor in graph.tensors]


def test_weights_inputs_and_outputs_keep_their_names(K):
    exported = kpk.export_tflite(convnet(K))
    found = [c for c in constants(exported.bytes) if c.is_weight]
    of_weights = {constant.name for constant in found}
    told = of_weights | {exported.inputs[0].name, exported.outputs[0].name}
    assert any("hidden" in name for name in of_weights)
    assert told <= set(names(exported))
    # The others: the numbers from 0 on, in the order of the file.
    others = [name for name in names(exported) if name not in told]
    assert others == [np.base_repr(i, 36) for i in range(len(others))]


@pytest.mark.each_value
@pytest.mark.parametrize("build", [models.recurrent, models.attention, models.text])
def test_no_name_is_taken_twice_in_all_subgraphs(K, build):
    for quantization in ("none", "dynamic"):
        exported = kpk.export_tflite(build(K), quantization=quantization)
        assert len(set(names(exported))) == len(names(exported))
        assert "" not in names(exported)
        assert shrink(exported.bytes) == exported.bytes


def test_an_output_called_like_an_input_or_a_number(K):
    inputs = K.layers.Input((4,), name="0")
    outputs = K.layers.Dense(3, name="top")(K.layers.Dense(5)(inputs))
    exported = kpk.export_tflite(K.Model(inputs, {"0": outputs}))
    assert [item.name for item in exported.inputs + exported.outputs] == ["0", "0"]
    found = names(exported)
    assert found.count("0") == 1 and len(set(found)) == len(found)


def test_weights_of_one_name_stay_apart_and_are_reported_with_it():
    model = unpack(kpk.export_tflite(convnet(keras)).bytes)
    for tensor in model.subgraphs[0].tensors:
        if model.buffers[tensor.buffer].data is not None and len(tensor.shape) > 1:
            tensor.name = b"one"
    shrunk = kpk.TFLiteModel(shrink(pack(model)))
    assert {w.path for w in shrunk.sparsity_report().weights} == {"one"}
    assert {"one", "one;2", "one;3", "one;4"} <= set(names(shrunk))


@pytest.mark.quick_in("keras")
def test_weights_start_where_the_schema_says(K):
    exported = kpk.export_tflite(convnet(K))
    starts = [constant.position.start for constant in constants(exported.bytes)]
    assert len(starts) >= 5 and all(start % 16 == 0 for start in starts)


@pytest.mark.quick_in("keras")
def test_files_without_any_name_can_be_read(K):
    model = unpack(kpk.export_tflite(convnet(K)).bytes)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = None
    nameless = kpk.TFLiteModel(pack(model))
    assert {weight.path for weight in nameless.sparsity_report().weights} == {""}
    assert "not weights" in str(kpk.entropy_bound(nameless))


@pytest.mark.parametrize(
    ("tensor_type", "least", "most"),
    [("INT8", -128, 127), ("INT4", -8, 7), ("INT2", -2, 1), ("INT32", -999, 999)],
)
@pytest.mark.parametrize("count", [8, 7])
def test_packed_values_are_those_that_are_unpacked(tensor_type, least, most, count):
    number = getattr(schema.TensorType, tensor_type)
    dtype = "int32" if tensor_type == "INT32" else "int8"
    values = np.random.default_rng(0).integers(least, most, count, dtype, True)
    again = unpack_values(number, pack_values(number, values))
    np.testing.assert_array_equal(again[:count], values)
