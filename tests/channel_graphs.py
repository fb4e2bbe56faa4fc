"""Random graphs of layers, for the tests of channels.

A graph is a list of steps, each a kind of layer, a number that chooses its inputs and a
number that chooses its size. Pictures of one height and width make all pairs fit.
"""

from hypothesis import strategies as st

SIDE = 4
_WIDTHS = (4, 6, 8)


def conv(K, pool, a, b):
    return K.layers.Conv2D(_WIDTHS[b % 3], 3, padding="same")(pool[a])


def narrow_conv(K, pool, a, b):
    return K.layers.Conv2D(_WIDTHS[b % 3], 1, use_bias=False, activation="relu")(
        pool[a]
    )


def grouped_conv(K, pool, a, b):
    x = K.layers.Conv2D(8, 1)(pool[a])
    return K.layers.Conv2D(8, 3, padding="same", groups=(2, 4, 8)[b % 3])(x)


def transposed_conv(K, pool, a, b):
    return K.layers.Conv2DTranspose(_WIDTHS[b % 3], 3, padding="same")(pool[a])


def depthwise_conv(K, pool, a, b):
    layer = K.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=1 + b % 2)
    return layer(pool[a])


def separable_conv(K, pool, a, b):
    layer = K.layers.SeparableConv2D(
        _WIDTHS[b % 3], 3, padding="same", depth_multiplier=1 + b % 2
    )
    return layer(pool[a])


def batch_norm(K, pool, a, b):
    return K.layers.BatchNormalization()(pool[a])


def activation(K, pool, a, b):
    kinds = [K.layers.Activation(name) for name in ("relu", "tanh", "sigmoid")]
    return [*kinds, K.layers.PReLU()][b % 4](pool[a])


def pooling(K, pool, a, b):
    kind = (K.layers.MaxPooling2D, K.layers.AveragePooling2D)[b % 2]
    return kind(3, strides=1, padding="same")(pool[a])


def add(K, pool, a, b):
    x, y = pool[a], pool[b]
    if x.shape[-1] != y.shape[-1]:
        y = K.layers.Conv2D(x.shape[-1], 1)(y)
    return (K.layers.Add, K.layers.Subtract, K.layers.Maximum)[b % 3]()([x, y])


def concatenate(K, pool, a, b):
    # The same channels twice are no use to anyone.
    return K.layers.Concatenate()([pool[a], pool[a - 1]] if a else [pool[0]] * 2)


def squeeze_and_excite(K, pool, a, b):
    x = pool[a]
    gate = K.layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = K.layers.Conv2D(4, 1, activation="relu")(gate)
    gate = K.layers.Conv2D(x.shape[-1], 1, activation="sigmoid")(gate)
    return K.layers.Multiply()([x, gate])


def shared_conv(K, pool, a, b):
    layer = K.layers.Conv2D(6, 3, padding="same")
    x, y = (K.layers.Conv2D(4, 1)(pool[i]) for i in (a, b))
    return K.layers.Concatenate()([layer(x), layer(y)])


def nested(K, pool, a, b):
    shape = tuple(pool[a].shape)[1:]
    inner = K.Sequential(
        [
            K.layers.Input(shape),
            K.layers.Conv2D(_WIDTHS[b % 3], 3, padding="same"),
            K.layers.BatchNormalization(),
            K.layers.ReLU(),
        ]
    )
    return inner(pool[a])


def recurrent(K, pool, a, b):
    x = K.layers.Reshape((SIDE * SIDE, pool[a].shape[-1]))(pool[a])
    layer = (K.layers.LSTM, K.layers.GRU, K.layers.SimpleRNN)[b % 3](
        6, return_sequences=True
    )
    layer = K.layers.Bidirectional(layer) if b > 3 else layer
    x = layer(x)
    return K.layers.Reshape((SIDE, SIDE, x.shape[-1]))(x)


def attention(K, pool, a, b):
    x, y = (K.layers.Reshape((SIDE * SIDE, pool[i].shape[-1]))(pool[i]) for i in (a, b))
    x = K.layers.MultiHeadAttention(2, 3, output_shape=6)(x, y)
    return K.layers.Reshape((SIDE, SIDE, 6))(x)


def dense(K, pool, a, b):
    if b % 2:
        return K.layers.Dense(_WIDTHS[b % 3], activation="relu")(pool[a])
    return K.layers.EinsumDense(
        "abcd,de->abce", (SIDE, SIDE, _WIDTHS[b % 3]), bias_axes="e"
    )(pool[a])


def blocks(K, pool, a, b):
    """Units of a Dense layer that become a picture."""
    x = K.layers.Dense(SIDE * SIDE * 3)(K.layers.GlobalMaxPooling2D()(pool[a]))
    return K.layers.Reshape((SIDE, SIDE, 3))(x)


STEPS = (
    *(conv, narrow_conv, grouped_conv, transposed_conv, depthwise_conv),
    *(separable_conv, batch_norm, activation, pooling, add, concatenate),
    *(squeeze_and_excite, shared_conv, nested, recurrent, attention, dense, blocks),
)
_numbers = st.integers(0, 5)
graphs = st.tuples(
    st.lists(
        st.tuples(st.sampled_from(STEPS), _numbers, _numbers), min_size=2, max_size=6
    ),
    st.booleans(),
    st.booleans(),
)


def graph_of(K, graph):
    """The model of a graph: one or two inputs, one or two outputs."""
    steps, has_two_inputs, flattens = graph
    inputs = [K.layers.Input((SIDE, SIDE, 3)) for _ in range(1 + has_two_inputs)]
    pool = [K.layers.Conv2D(6, 3, padding="same")(tensor) for tensor in inputs]
    for step, a, b in steps:
        a, b = (len(pool) - 1 - min(i, len(pool) - 1) for i in (a, b))
        pool.append(step(K, pool, a, b))
    last = K.layers.Dense(8, activation="relu")(pool[-1])
    flat = K.layers.Flatten() if flattens else K.layers.GlobalAveragePooling2D()
    ends = [K.layers.Dense(3)(flat(last))]
    # Whatever nothing has read yet.
    ends.append(K.layers.Conv2D(2, 1)(pool[-2]))
    return K.Model(inputs if has_two_inputs else inputs[0], ends)
