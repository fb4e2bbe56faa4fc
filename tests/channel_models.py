"""Small models of all kinds of layers, for the tests of channels, in either world.

Each builder takes the world. In all of them are channels that can leave; what must stay
has a layer beside it that can.
"""

import numpy as np
from channel_tools import BATCH


def ops_of(K):
    """`keras.ops`, or what of TensorFlow has the same names."""
    if K.__name__ == "keras":
        return K.ops
    import tensorflow as tf

    return tf


def mlp(K):
    L = K.layers
    return K.Sequential(
        [
            L.Input((6,)),
            L.Dense(12, activation="relu"),
            L.Dense(10, activation="sigmoid"),
            L.Dense(3),
        ]
    )


def residual(K):
    L = K.layers
    inputs = L.Input((8, 8, 3))
    x = L.Conv2D(12, 3, padding="same")(inputs)
    branch = L.ReLU()(L.BatchNormalization()(x))
    branch = L.Conv2D(12, 3, padding="same", use_bias=False)(branch)
    x = L.GlobalAveragePooling2D()(L.Add()([x, branch]))
    return K.Model(inputs, L.Dense(4)(x))


def convolutions(K):
    L = K.layers
    inputs = L.Input((8, 8, 3))
    x = L.Conv2D(8, 3)(inputs)
    x = L.DepthwiseConv2D(3, depth_multiplier=2, activation="relu")(x)
    x = L.BatchNormalization()(x)
    x = L.SeparableConv2D(10, 3, padding="same", activation="relu")(x)
    x = L.SeparableConv2D(6, 3, padding="same", depth_multiplier=2)(x)
    x = L.Conv2DTranspose(7, 3, strides=2)(x)
    return K.Model(inputs, L.Dense(3)(L.Flatten()(x)))


def one_and_three_axes(K):
    L = K.layers
    line, volume = L.Input((9, 3)), L.Input((5, 5, 5, 2))
    x = L.Conv1D(8, 3, padding="causal", activation="relu")(line)
    x = L.DepthwiseConv1D(3)(L.MaxPooling1D(2)(x))
    x = L.Conv1DTranspose(6, 2)(L.SeparableConv1D(7, 2)(x))
    y = L.Conv3D(6, 3, activation="relu")(L.ZeroPadding3D()(volume))
    y = L.Conv3DTranspose(5, 2)(L.Cropping3D()(y))
    parts = [L.GlobalMaxPooling1D()(x), L.GlobalAveragePooling3D()(y)]
    return K.Model([line, volume], L.Dense(3)(L.Concatenate()(parts)))


def grouped(K):
    L = K.layers
    inputs = L.Input((8, 8, 3))
    x = L.Conv2D(12, 3)(inputs)
    x = L.Conv2D(16, 3, groups=4, activation="relu")(x)
    x = L.Conv2D(16, 1, groups=16)(x)
    x = L.Conv2D(32, 1, groups=16)(x)
    return K.Model(inputs, L.Dense(3)(L.Flatten()(L.MaxPooling2D()(x))))


def squeeze_and_excite(K):
    L = K.layers
    inputs = L.Input((8, 8, 3))
    x = L.Conv2D(12, 3)(inputs)
    gate = L.GlobalAveragePooling2D(keepdims=True)(x)
    gate = L.Conv2D(5, 1, activation="relu")(gate)
    gate = L.Conv2D(12, 1, activation="sigmoid")(gate)
    x = L.Conv2D(6, 1)(L.Multiply()([x, gate]))
    return K.Model(inputs, L.GlobalMaxPooling2D()(x))


def joined_and_reshaped(K):
    L = K.layers
    inputs = L.Input((8, 8, 3))
    branches = [L.Conv2D(6, 3, padding="same")(inputs), L.Conv2D(5, 1)(inputs)]
    x = L.BatchNormalization()(L.Concatenate()([*branches, inputs]))
    x = L.Reshape((6, 48))(L.Conv2D(8, 3)(x))
    x = L.Dense(18)(L.Flatten()(L.Conv1D(5, 2)(x)))
    x = L.Conv2D(4, 2)(L.Reshape((3, 3, 2))(x))
    x = L.Conv1D(4, 2)(L.Permute((2, 1, 3))(x)[:, 0])
    x = L.RepeatVector(3)(L.Flatten()(x))
    return K.Model(inputs, L.Flatten()(L.Conv1D(3, 2)(x)))


def recurrent(K):
    L = K.layers
    inputs = L.Input((6, 4))
    x = L.LSTM(8, return_sequences=True)(inputs)
    x = L.GRU(8, return_sequences=True)(x)
    x = L.RNN(L.GRUCell(6), return_sequences=True)(x)
    x = L.TimeDistributed(L.Dense(7, activation="tanh"))(x)
    return K.Model(inputs, L.Dense(3)(L.SimpleRNN(5)(x)))


def _bidirectional(merge_mode):
    def build(K):
        L = K.layers
        inputs = L.Input((6, 4))
        layer = L.GRU(6, return_sequences=True)
        x = L.Bidirectional(layer, merge_mode=merge_mode)(inputs)
        x = L.Bidirectional(L.LSTM(6), merge_mode=merge_mode)(x)
        return K.Model(inputs, L.Dense(3)(x))

    return build


def two_directions(K):
    """With a backward layer of its own."""
    L = K.layers
    inputs = L.Input((6, 4))
    back = L.LSTM(6, return_sequences=True, go_backwards=True, activation="relu")
    layer = L.LSTM(6, return_sequences=True)
    x = L.Bidirectional(layer, backward_layer=back)(inputs)
    return K.Model(inputs, L.GRU(3)(x))


def encoder_and_decoder(K):
    L = K.layers
    inputs, given, facts = L.Input((6, 4)), L.Input((5, 3)), L.Input((5,))
    _, *states = L.LSTM(8, return_state=True)(inputs)
    x = L.LSTM(8, return_sequences=True)(given, initial_state=states)
    x, state = L.GRU(6, return_sequences=True, return_state=True)(x)
    x = L.GRU(6, return_sequences=True)(x, initial_state=state)
    state = L.Dense(7, activation="relu")(facts)
    x = L.SimpleRNN(7)(x, initial_state=state)
    return K.Model([inputs, given, facts], L.Dense(3)(x))


def stateful(K):
    L = K.layers
    inputs = L.Input(batch_shape=(BATCH, 5, 4))
    x = L.LSTM(8, stateful=True, return_sequences=True)(L.Dense(7)(inputs))
    return K.Model(inputs, L.Dense(3)(L.GRU(6, stateful=True)(x)))


def transformer(K):
    L = K.layers
    inputs = L.Input((6, 8))
    x = L.Dense(10)(inputs)
    x = L.Add()([x, L.MultiHeadAttention(4, 5, value_dim=3)(x, x)])
    x = L.Dense(12, activation="gelu")(x)
    x = L.MultiHeadAttention(2, 4, output_shape=9)(x, x)
    return K.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


def cross_attention(K):
    L = K.layers
    inputs, others = L.Input((6, 8)), L.Input((4, 8))
    q, k, v = L.Dense(10)(inputs), L.Dense(6)(others), L.Dense(7)(others)
    x = L.MultiHeadAttention(4, 5)(q, v, k)
    parts = [
        L.Attention()([L.Dense(5)(x), L.Dense(5)(v)]),
        L.AdditiveAttention()([L.Dense(4)(x), L.Dense(4)(v), L.Dense(4)(k)]),
    ]
    return K.Model([inputs, others], L.Dense(3)(L.Concatenate()(parts)))


def masked_attention(K):
    """The mask is computed: its channels are places."""
    L = K.layers
    inputs = L.Input((6, 8))
    x = L.Dense(10)(inputs)
    mask = L.Dense(6, activation="relu")(x)
    x = L.MultiHeadAttention(4, 5)(x, x, attention_mask=mask)
    return K.Model(inputs, L.Dense(3)(x))


def attention_scores(K):
    L = K.layers
    inputs = L.Input((6, 8))
    x = L.Dense(10)(inputs)
    x, scores = L.MultiHeadAttention(4, 5)(x, x, return_attention_scores=True)
    return K.Model(inputs, [L.Dense(3)(x), scores])


def normalizations(K):
    L = K.layers
    inputs = L.Input((6, 6, 4))
    x = L.LayerNormalization()(L.Conv2D(8, 3)(inputs))
    x = L.GroupNormalization(4)(L.Conv2D(8, 1)(x))
    x = L.GroupNormalization(8)(L.Conv2D(8, 1)(x))
    x = L.UnitNormalization()(L.Conv2D(8, 1)(L.SpatialDropout2D(0.3)(x)))
    return K.Model(inputs, L.Dense(3)(L.Flatten()(x)))


def einsum(K):
    L = K.layers
    E = L.EinsumDense
    x = inputs = L.Input((6, 8))
    x = E("abc,cd->abd", (None, 10), bias_axes="d", activation="relu")(x)
    x = E("...x,xy->...y", 7)(x)
    x = E("abc,cde->abde", (None, 6, 6), bias_axes="d")(x)
    x = E("abde,deh->abh", (None, 5), bias_axes="h")(x)
    return K.Model(inputs, L.Dense(3)(x))


def masked_text(K):
    L = K.layers
    inputs = L.Input((6,), dtype="int32")
    x = L.Dropout(0.1)(L.Embedding(20, 8, mask_zero=True)(inputs))
    x = L.Bidirectional(L.LSTM(6, return_sequences=True))(x)
    x = L.BatchNormalization()(L.Add()([x, L.Dense(12)(x)]))
    x = L.MultiHeadAttention(2, 4)(x, x)
    return K.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


def activations(K):
    L = K.layers
    inputs = L.Input((8, 8, 3))
    x = L.PReLU(shared_axes=[1, 2])(L.Conv2D(8, 3)(inputs))
    x = L.LeakyReLU()(L.PReLU()(L.Conv2D(6, 3)(x)))
    x = L.Activation("swish")(L.Conv2D(6, 1)(L.ELU()(x)))
    return K.Model(inputs, L.Dense(3)(L.Flatten()(x)))


def shared(K):
    L = K.layers
    left, right = L.Input((6,)), L.Input((6,))
    twin, normal = L.Dense(12, activation="tanh"), L.BatchNormalization()
    twice = L.Dense(24)
    x = L.Concatenate()([normal(twin(left)), normal(twin(right))])
    return K.Model([left, right], L.Dense(3)(twice(twice(x))))


def shared_reshape(K):
    """It has no weights, but one target shape for both."""
    L = K.layers
    left, right = L.Input((6,)), L.Input((6,))
    reshape = L.Reshape((2, 4))
    x = L.Conv1D(3, 2)(reshape(L.Dense(8)(left)))
    y = L.Conv1D(3, 1)(reshape(L.Dense(8)(right)))
    parts = [L.Flatten()(x), L.Flatten()(y)]
    return K.Model([left, right], L.Concatenate()(parts))


def nested(K):
    """One is called twice, with different inputs; the other has two of everything."""
    L = K.layers
    left, right = L.Input((6,)), L.Input((6,))
    layers = [L.Input((10,)), L.Dense(9, activation="relu"), L.Dense(8)]
    encoder = K.Sequential(layers, name="encoder")
    x, y = encoder(L.Dense(10)(left)), encoder(L.Dense(10)(right))
    a, b = L.Input((8,)), L.Input((4,))
    ends = [L.Dense(7)(L.Concatenate()([a, b])), L.Dense(5)(b)]
    inner = K.Model([a, b], ends, name="inner")
    ends = inner([L.Subtract()([x, y]), L.Dense(4)(right)])
    return K.Model([left, right], L.Dense(3)(L.Concatenate()(list(ends))))


def output_inside(K):
    L = K.layers
    inputs = L.Input((6,), name="facts")
    x = L.Dense(8, name="both")(inputs)
    y = L.Dense(3)(L.Dense(9, activation="relu")(x))
    return K.Model({"facts": inputs}, {"x": x, "y": y})


def mixing_activations(K):
    L = K.layers
    facts, line, picture = L.Input((6,)), L.Input((6, 4)), L.Input((6, 6, 4))
    x = L.Dense(9)(L.Dense(8, activation="softmax")(facts))
    x = L.Softmax()(L.Dense(6)(L.Dense(5)(L.Activation("softmax")(x))))
    y = L.TimeDistributed(L.Dense(8, activation="softmax"))(line)
    y = L.LSTM(6, activation="softmax")(y)
    z = L.Conv2D(8, 1)(picture)
    z = L.DepthwiseConv2D(3, activation="softmax")(z)
    z = L.Conv2D(8, 3, groups=8, activation="softmax")(z)
    parts = [L.Dense(3)(x), L.Dense(3)(y), L.Dense(3)(L.Flatten()(z))]
    return K.Model([facts, line, picture], L.Concatenate()(parts))


def masking(K):
    L = K.layers
    inputs = L.Input((6, 4))
    x = L.Masking()(L.Dense(8, activation="relu")(inputs))
    return K.Model(inputs, L.Dense(3)(L.LSTM(6)(x)))


def over_time(K):
    L = K.layers
    inputs = L.Input((3, 8, 8, 3))
    x = L.TimeDistributed(L.Conv2D(4, 3))(inputs)
    x = L.Conv2D(5, 1)(L.ConvLSTM2D(4, 3)(x))
    return K.Model(inputs, L.Dense(3)(L.Flatten()(x)))


def products(K):
    L = K.layers
    inputs = L.Input((6, 4))
    a, b, c = (L.Dense(6)(inputs) for _ in range(3))
    parts = [L.Dot(axes=2)([a, b]), L.Dot(axes=1)([a, b])]
    parts = [*parts, L.Dense(3)(c)]
    return K.Model(inputs, L.Dense(3)(L.Concatenate()(parts)))


def channels_first(K):
    """They are last again where nothing says so."""
    L = K.layers
    inputs = L.Input((3, 8, 8))
    x = L.ZeroPadding2D(data_format="channels_first")(inputs)
    x = L.Flatten(data_format="channels_first")(x)
    x = L.Reshape((4, 2, 2))(L.Dense(16)(L.Dense(8)(x)))
    x = L.Flatten(data_format="channels_first")(x)
    return K.Model(inputs, L.Dense(3)(x))


def in_training(K):
    """Statistics of the batch, whatever the model is called with."""
    L = K.layers
    inputs = L.Input((6,))
    x = L.BatchNormalization()(L.Dense(8)(inputs), training=True)
    layers = [L.Input((8,)), L.Dense(9), L.BatchNormalization(), L.Dense(8)]
    x = K.Sequential(layers)(L.Dense(8)(x), training=True)
    return K.Model(inputs, L.Dense(3)(L.Dense(7)(x)))


def preprocessing(K):
    L = K.layers
    normal = L.Normalization()
    normal.adapt(np.random.default_rng(0).normal(size=(20, 8, 8, 3)))
    first = [L.Rescaling(2.0), normal, L.RandomFlip(), L.RandomRotation(0.1)]
    rest = [L.Conv2D(6, 3), L.GlobalMaxPooling2D(), L.Dense(3)]
    return K.Sequential([L.Input((8, 8, 3)), *first, *rest])


def lambdas(K):
    L = K.layers
    inputs = L.Input((6,))
    x = L.Lambda(lambda t: t * t + 1)(L.Dense(8)(inputs))
    x = L.Dense(7)(L.Lambda(lambda t: t[:, ::-1])(L.Dense(8)(x)))
    return K.Model(inputs, L.Dense(3)(x))


def operations(K):
    L, ops = K.layers, ops_of(K)
    mean = ops.mean if hasattr(ops, "mean") else ops.reduce_mean
    join = ops.concatenate if hasattr(ops, "concatenate") else ops.concat
    inputs = L.Input((6, 4))
    x, y = L.Dense(8)(inputs), L.Dense(8)(inputs)
    x = ops.nn.relu(x) * 2 + ops.sigmoid(y) - y / 3
    x = join([ops.pad(x, ((0, 0), (1, 1), (0, 0))), y], axis=1)
    x = mean(x, axis=1)
    a, _ = ops.split(L.Dense(8)(x), 2, axis=-1)
    b = L.Dense(5)(a)[:, ::2]
    c = ops.matmul(y, ops.transpose(y, (0, 2, 1)))
    d = L.Dense(4)(ops.reshape(L.Dense(8)(y), (-1, 48)))
    parts = [a, b, L.Flatten()(c), d, x]
    return K.Model(inputs, L.Dense(3)(L.Concatenate()(parts)))


def own_layers(K):
    """Of a user: alone, of mixed channels, and with sizes in the configuration."""
    L, ops = K.layers, ops_of(K)
    mean = ops.mean if hasattr(ops, "mean") else ops.reduce_mean

    class Scale(L.Layer):
        def __init__(self, units, steps, **options):
            super().__init__(**options)
            self.units, self.steps = units, steps

        def build(self, shape):
            self.scale = self.add_weight(name="scale", shape=(self.units,))
            super().build(shape)

        def call(self, inputs):
            return 1 + inputs * self.scale

        def get_config(self):
            own = {"units": self.units, "steps": self.steps}
            return {**super().get_config(), **own}

    class Center(L.Layer):
        def call(self, inputs):
            return inputs - mean(inputs, -1, keepdims=True)

    class Gate(L.Layer):
        def call(self, inputs):
            return inputs["a"] * ops.tanh(inputs["b"])

    inputs = L.Input((6,))
    x = L.Dense(7)(Center()(L.Dense(8)(inputs)))
    x = Gate()({"a": L.Dense(9)(x), "b": Scale(7, 3)(x)[:, :1]})
    return K.Model(inputs, L.Dense(3)(Scale(9, 9)(L.Dense(9)(x))))


def own_masked(K):
    """What is masked becomes 5, also in channels of zeros."""
    L, ops = K.layers, ops_of(K)

    class Fill(L.Layer):
        supports_masking = True

        def call(self, inputs, mask=None):
            if mask is None:
                return inputs
            return ops.where(ops.expand_dims(mask, -1), inputs, 5 + 0 * inputs)

    inputs = L.Input((6,), dtype="int32")
    x = L.Dense(8)(L.Embedding(20, 8, mask_zero=True)(inputs))
    return K.Model(inputs, L.Dense(3)(L.Dense(7)(Fill()(x))))


def any_size(K):
    L = K.layers
    inputs = L.Input((None, None, 3))
    x = L.ZeroPadding2D()(L.Conv2D(8, 3, padding="same")(inputs))
    x = L.Reshape((-1, 6))(L.Conv2D(6, 3)(L.UpSampling2D()(x)))
    return K.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


def in_float64(K):
    L = K.layers
    inputs = L.Input((8, 8, 3), dtype="float64")
    options = {"dtype": "float64", "activation": "sigmoid"}
    x = L.Conv2D(8, 3, **options)(inputs)
    x = L.BatchNormalization(dtype="float64")(x)
    x = L.Conv2D(8, 1, use_bias=False, **options)(x)
    x = L.GlobalAveragePooling2D(dtype="float64")(x)
    return K.Model(inputs, L.Dense(3, use_bias=False, dtype="float64")(x))


MODELS = {
    build.__name__: build
    for build in (
        *(mlp, residual, convolutions, one_and_three_axes, grouped),
        *(squeeze_and_excite, joined_and_reshaped, recurrent, two_directions),
        *(encoder_and_decoder, stateful, transformer, cross_attention),
        *(masked_attention, attention_scores, normalizations, einsum, masked_text),
        *(activations, shared, shared_reshape, nested, output_inside),
        *(mixing_activations, masking, over_time, products, channels_first),
        *(in_training, preprocessing, lambdas, operations, own_layers, own_masked),
        *(any_size, in_float64),
    )
} | {f"bidirectional_{how}": _bidirectional(how) for how in ("concat", "sum", "mul")}
