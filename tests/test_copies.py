"""A copy computes to the bit what the model does, by weights of its own."""

import functools

import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit import _keras

RNG = np.random.default_rng(0)
X = (RNG.random((64, 6)) * 3 + 10).astype("float32")
WORDS = np.array([["red"], ["green"], ["blue"], ["red"]] * 16, dtype=object)


def _ops(K):
    """`keras.ops`, or what of TensorFlow has the same name."""
    if K.__name__ == "keras":
        return K.ops
    import tensorflow as tf

    return tf


def normalization(K):
    layer = K.layers.Normalization()
    layer.adapt(X)
    return _functional(K, layer), X


def discretization(K):
    layer = K.layers.Discretization(num_bins=5, output_mode="one_hot")
    layer.adapt(X[:, :1])
    return _functional(K, layer, shape=(1,)), X[:, :1]


def string_lookup(K):
    layer = K.layers.StringLookup(output_mode="one_hot")
    layer.adapt(WORDS)
    return _functional(K, layer, shape=(1,), dtype="string"), _strings(WORDS)


def integer_lookup(K):
    layer = K.layers.IntegerLookup(output_mode="multi_hot")
    layer.adapt(np.arange(40).reshape(-1, 1))
    x = RNG.integers(0, 60, (64, 1))
    return _functional(K, layer, shape=(1,), dtype="int64"), x


def text_vectorization(K):
    layer = K.layers.TextVectorization(20, output_mode="tf_idf")
    layer.adapt(WORDS[:, 0].astype(str))
    return _functional(K, layer, shape=(), dtype="string"), _strings(WORDS[:, 0])


def vectorization_in_nested_model(K):
    layer = K.layers.TextVectorization(20, output_sequence_length=2)
    layer.adapt(WORDS[:, 0].astype(str))
    inner = K.Sequential(
        [K.layers.Input((), dtype="string"), layer, K.layers.Embedding(20, 4)]
    )
    i = K.layers.Input((), dtype="string")
    o = K.layers.Dense(1)(K.layers.Flatten()(inner(i)))
    return K.Model(i, o), _strings(WORDS[:, 0])


def lambda_with_global_and_closure(K):
    shift, ops = 0.25, _ops(K)
    layer = K.layers.Lambda(lambda v: ops.abs(v - 11.0) + shift + len(WORDS))
    return _functional(K, layer), X


def two_functions_of_one_name(K):
    def make(factor):
        def scaled(v):
            return v * factor

        return scaled

    i = K.layers.Input((6,))
    h = K.layers.Dense(8, activation=make(0.5))(i)
    h = K.layers.Dense(8, activation=make(-3.0))(h)
    return K.Model(i, K.layers.Dense(1, activation=make(2.0))(h)), X


def lambda_in_time_distributed(K):
    factor = 0.125
    i = K.layers.Input((3, 2))
    h = K.layers.TimeDistributed(K.layers.Lambda(lambda v: v * factor))(i)
    h = K.layers.TimeDistributed(K.layers.Dense(4, activation=lambda v: v * factor))(h)
    return K.Model(i, K.layers.Flatten()(h)), X.reshape(-1, 3, 2)


def custom_layer_of_this_function(K):
    class Scale(K.layers.Layer):
        def __init__(self, factor, **kwargs):
            super().__init__(**kwargs)
            self.factor = factor

        def build(self, input_shape):
            self.gain = self.add_weight(shape=(input_shape[-1],), name="gain")
            super().build(input_shape)

        def call(self, inputs):
            return inputs * self.gain * self.factor

        def compute_output_shape(self, input_shape):
            return input_shape

        def get_config(self):
            return {**super().get_config(), "factor": self.factor}

    i = K.layers.Input((3, 2))
    h = K.layers.TimeDistributed(Scale(3.0))(Scale(0.5)(i))
    return K.Model(i, K.layers.Flatten()(h)), X.reshape(-1, 3, 2)


def constructor_without_keywords(K):
    """As many write it; Keras itself cannot load such a layer again."""

    class Clipped(K.layers.Layer):
        def __init__(self, low, high):
            super().__init__()
            self.low, self.high = low, high

        def call(self, inputs):
            return inputs * self.high + self.low

        def get_config(self):
            return {**super().get_config(), "low": self.low, "high": self.high}

    return _functional(K, Clipped(0.5, 2.0)), X


def own_state_beside_weights(K):
    """A layer that keeps an array, by Keras' own means."""

    class Table(K.layers.Layer):
        table = np.zeros(6, "float32")

        def call(self, inputs):
            return inputs + self.table

        def save_own_variables(self, store):
            store["table"] = self.table

        def load_own_variables(self, store):
            self.table = np.array(store["table"])

    layer = Table()
    layer.table = np.arange(6, dtype="float32")
    return _functional(K, layer), X


def subclassed_from_functional(K):
    class Doubled(K.Model):
        def call(self, *args, **kwargs):
            return super().call(*args, **kwargs)

    i = K.layers.Input((6,))
    return Doubled(i, K.layers.Dense(2)(i)), X


def with_constructor_of_its_own(K):
    class Classifier(K.Model):
        def __init__(self, units, **kwargs):
            i = K.layers.Input((6,))
            super().__init__(i, K.layers.Dense(units)(i), **kwargs)
            self.units = units

        def get_config(self):
            return {"units": self.units, "name": self.name}

    return Classifier(3), X


def subclassed(K):
    class Net(K.Model):
        def __init__(self, units=5, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.norm = K.layers.BatchNormalization()
            self.blocks = [K.layers.Dense(units, activation="relu") for _ in range(2)]
            self.head = K.layers.Dense(1)

        def call(self, inputs, training=False):
            h = self.norm(inputs, training=training)
            for block in self.blocks:
                h = block(h)
            return self.head(h)

        def get_config(self):
            return {"units": self.units}

    model = Net(units=7)
    model(X)
    return model, X


def subclass_of_sequential(K):
    class Mine(K.Sequential):
        pass

    return Mine([K.layers.Input((6,)), K.layers.Dense(3)]), X


def operations(K):
    ops = _ops(K)
    i = K.layers.Input((6,))
    h = K.layers.Dense(4)(i)
    h = (ops.concatenate if K.__name__ == "keras" else ops.concat)([h, h * 2.0], -1)
    return K.Model(i, K.layers.Dense(1)(h + 1.0)), X


def shared_and_frozen(K):
    base = K.Sequential([K.layers.Input((6,)), K.layers.Dense(4)], name="base")
    base.trainable = False
    i, j = K.layers.Input((6,), name="right"), K.layers.Input((6,), name="left")
    model = K.Model([i, j], K.layers.Dense(1)(base(i) - base(j)))
    return model, [X, X[::-1].copy()]


def compiled_inside(K):
    """A nested model that was compiled with a loss nobody knows by name."""

    def my_loss(a, b):
        return a - b

    base = K.Sequential([K.layers.Input((6,)), K.layers.Dense(4)], name="base")
    base.compile("sgd", my_loss)
    i = K.layers.Input((6,))
    return K.Model(i, K.layers.Dense(1)(base(i))), X


def bidirectional(K):
    i = K.layers.Input((6, 1))
    h = K.layers.Bidirectional(K.layers.LSTM(3))(i)
    return K.Model(i, K.layers.Dense(1)(h)), X[..., None]


KINDS = [
    normalization,
    discretization,
    string_lookup,
    integer_lookup,
    text_vectorization,
    vectorization_in_nested_model,
    lambda_with_global_and_closure,
    two_functions_of_one_name,
    lambda_in_time_distributed,
    custom_layer_of_this_function,
    constructor_without_keywords,
    own_state_beside_weights,
    subclassed_from_functional,
    with_constructor_of_its_own,
    subclassed,
    subclass_of_sequential,
    operations,
    shared_and_frozen,
    compiled_inside,
    bidirectional,
]


def _functional(K, layer, shape=(6,), dtype="float32"):
    i = K.layers.Input(shape, dtype=dtype)
    return K.Model(i, K.layers.Dense(2)(layer(i)))


def _strings(words):
    import tensorflow as tf

    return tf.constant(words)


@pytest.mark.each_value
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_copy_computes_the_same_to_the_bit(K, kind):
    model, x = kind(K)

    copied = _keras.copy_model(model)

    wanted, got = model.predict(x, verbose=0), copied.predict(x, verbose=0)
    np.testing.assert_array_equal(got, wanted)
    assert np.ptp(wanted) > 0
    assert type(copied) is type(model)
    assert copied.name == model.name
    assert copied.built
    own = {id(variable) for variable in model.weights}
    assert not own & {id(variable) for variable in copied.weights}
    flags = [[w.trainable for w in m.trainable_weights] for m in (model, copied)]
    assert flags[0] == flags[1]
    _keras.check_copy(model, copied, x)


def test_training_a_copy_leaves_the_model_alone(K):
    model, x = normalization(K)
    model.compile("sgd", "mse")
    before = model.get_weights()

    copied = _keras.clone(model)
    copied.fit(x, np.zeros((len(x), 2), "float32"), epochs=1, verbose=0)

    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(now, was)


def test_the_public_copy_is_compiled_and_knows_what_adapt_found(K):
    model, x = normalization(K)
    bare = kpk.copy_model(model)
    np.testing.assert_array_equal(bare(x), model(x))
    assert not _keras.is_compiled(bare)
    model.compile(K.optimizers.Adam(0.25), "mse")
    y = np.zeros((len(x), 2), "float32")

    copied = kpk.copy_model(model)

    assert copied.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)
    assert float(copied.optimizer.learning_rate) == 0.25
    copied.fit(x, y, epochs=1, callbacks=[kpk.PruningCallback(0.5)], verbose=0)
    assert kpk.sparsity_report(copied).sparsity == 0.5
    assert kpk.sparsity_report(model).sparsity == 0


def test_what_the_public_copy_does_not_take(K):
    with pytest.raises(TypeError, match="model"):
        kpk.copy_model("model.keras")
    with pytest.raises(ValueError, match="not built"):
        kpk.copy_model(K.Sequential([K.layers.Dense(2)]))


def test_seeds_of_dropout_go_with_a_copy():
    import keras

    model = keras.Sequential([keras.Input((6,)), keras.layers.Dropout(0.5, seed=3)])
    model(X, training=True)  # which moves the seed on

    copied = _keras.copy_model(model)

    np.testing.assert_array_equal(copied(X, training=True), model(X, training=True))


def test_what_cannot_be_copied_says_so_in_the_words_of_keras(K):
    class Secret(K.layers.Layer):
        def __init__(self, function, **kwargs):
            super().__init__(**kwargs)
            self.function = function

        def call(self, inputs):
            return self.function(inputs)

    i = K.layers.Input((6,))
    model = K.Model(i, Secret(lambda v: v)(i))

    with pytest.raises(_keras.CopyError, match="class Secret.*get_config"):
        _keras.copy_model(model)


def test_a_copy_that_reaches_back_into_the_model_is_found(K):
    """A tied embedding by a closure: the copy would read the weights of the model."""
    ops = _ops(K)
    embedding = K.layers.Embedding(9, 4)
    i = K.layers.Input((3,), dtype="int32")
    tied = K.layers.Lambda(
        lambda v: ops.matmul(v, ops.transpose(embedding.embeddings)),
        output_shape=(3, 9),
    )
    model = K.Model(i, tied(embedding(i)))
    x = RNG.integers(0, 9, (8, 3))
    copied = _keras.copy_model(model)

    with pytest.raises(_keras.CopyError, match="of the model itself.*embeddings"):
        _keras.check_copy(model, copied, x)


def test_state_that_nobody_tells_of_is_found(K):
    class Silent(K.layers.Layer):
        factor = 1.0

        def call(self, inputs):
            return inputs * self.factor

    layer = Silent()
    layer.factor = 3.0
    model = _functional(K, layer)

    with pytest.raises(_keras.CopyError, match="computes something else"):
        _keras.check_copy(model, _keras.copy_model(model), X)


def _within(K):
    class Within(K.metrics.Metric):
        def __init__(self, tolerance=100.0, name="within", **kwargs):
            super().__init__(name=name, **kwargs)
            self.tolerance = tolerance
            self.hits = self.add_weight(name="hits", initializer="zeros")
            self.count = self.add_weight(name="count", initializer="zeros")

        def update_state(self, y, p, sample_weight=None):
            near = abs(np.float32(1) * y - p) < self.tolerance
            if K.__name__ == "keras":
                near = K.ops.cast(near, "float32")
                self.hits.assign(self.hits + K.ops.sum(near))
                self.count.assign(self.count + K.ops.sum(K.ops.ones_like(near)))
            else:
                import tensorflow as tf

                near = tf.cast(near, "float32")
                self.hits.assign_add(tf.reduce_sum(near))
                self.count.assign_add(tf.reduce_sum(tf.ones_like(near)))

        def result(self):
            return self.hits / self.count

    return Within


def _regression(K, **compile_arguments):
    model = K.Sequential([K.layers.Input((6,)), K.layers.Dense(8), K.layers.Dense(1)])
    model.compile(**compile_arguments)
    return model, X.sum(1, keepdims=True) - 69


def test_metric_whose_argument_no_config_has_keeps_it(K):
    """The default of 100 would call everything right."""
    model, y = _regression(
        K, optimizer="sgd", loss="mse", metrics=[_within(K)(0.5), "mae"]
    )
    wanted = float(np.mean(np.abs(model.predict(X, verbose=0) - y) < 0.5))

    scores = _keras.clone(model).evaluate(X, y, verbose=0, return_dict=True)

    assert wanted < 0.9
    assert scores["within"] == pytest.approx(wanted, abs=1e-6)


def test_loss_and_schedule_nobody_knows_by_name_are_kept(K):
    def tenth(a, b):
        return abs(a - b) / 10

    class Staircase(K.optimizers.schedules.LearningRateSchedule):
        def __init__(self, first):
            self.first = first

        def __call__(self, step):
            return self.first

    model, y = _regression(
        K, optimizer=K.optimizers.SGD(Staircase(0.125)), loss=tenth, metrics=["mae"]
    )
    copied = _keras.clone(model)

    scores = copied.evaluate(X, y, verbose=0, return_dict=True)
    assert scores["loss"] == pytest.approx(scores["mae"] / 10, rel=1e-5)
    assert copied.loss is tenth
    rate = copied.optimizer.learning_rate
    assert float(rate(0) if callable(rate) else rate) == 0.125


@pytest.mark.quick_in("keras")
def test_compress_of_adapted_layers_agrees_with_the_file(K):
    model, _ = normalization(K)
    y = np.stack([X.sum(1), X[:, 0]], 1) - np.array([69, 11.5], "float32")
    model.compile(K.optimizers.Adam(0.05), "mse", metrics=["mae"])
    model.fit(X, y, epochs=40, verbose=0)
    own = float(np.abs(model.predict(X, verbose=0) - y).mean())

    report = kpk.compress(
        model,
        (X, y),
        validation_data=(X, y),
        policy=0.25,
        quantization="none",
        epochs=3,
        verbose=0,
    )

    scores = {m.name: m.scores["mae"] for m in report.comparison.measurements}
    in_keras = float(np.abs(report.model.predict(X, verbose=0) - y).mean())
    in_file = float(np.abs(report.tflite.predict(X) - y).mean())
    assert scores["baseline"] == pytest.approx(own, abs=1e-4)
    assert scores["pruned"] == pytest.approx(in_keras, abs=1e-4)
    assert in_file == pytest.approx(in_keras, abs=1e-4)
    assert in_keras < 3 * own + 0.5


def test_quantize_aware_keeps_what_an_adapted_layer_knows(K):
    """Without it inputs of about 11 would come where those of about 0 are known."""
    model, x = normalization(K)
    model.compile(K.optimizers.SGD(0.0), "mse")
    quantized = kpk.quantize_aware(model).model
    quantized.fit(x, np.zeros((len(x), 2), "float32"), epochs=20, verbose=0)  # ranges

    wanted, got = model.predict(x, verbose=0), quantized.predict(x, verbose=0)

    assert np.abs(got - wanted).max() < 0.05 * np.ptp(wanted)


def test_partial_and_callable_activations_are_handed_over(K):
    def power(v, exponent):
        return v**exponent

    i = K.layers.Input((6,))
    layer = K.layers.Dense(3)
    model = K.Model(i, layer(i))
    layer.activation = functools.partial(power, exponent=2.0)
    model.compile("sgd", "mse")

    copied = _keras.copy_model(model)

    np.testing.assert_array_equal(np.asarray(copied(X)), np.asarray(model(X)))
