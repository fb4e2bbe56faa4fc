"""Masks, attention and recurrent layers."""

import numpy as np
import tensorflow as tf

from ordinary_models.entry import (
    KERAS_2,
    KERAS_3,
    Score,
    classifier,
    normal,
    ordinary,
    regressor,
    trained,
)

LOOP = "cannot calibrate loops"


def sentences(length=8, words=20):
    """Tokens from 1, then padding; the class is whether most are below half."""
    rng = np.random.default_rng(0)
    x = rng.integers(1, words, (640, length)).astype("int32")
    lengths = rng.integers(2, length + 1, 640)
    inside = np.arange(length) < lengths[:, None]
    y = (((x < words // 2) & inside).sum(1) * 2 > lengths).astype("int64")
    return np.where(inside, x, 0).astype("int32"), y


def series(steps=6, columns=4, seed=0):
    """Four classes by the sign of two columns, summed over time."""
    x = normal(640, steps, columns, seed=seed)
    total = x.sum(1)
    return x, ((total[:, 0] > 0) + 2 * (total[:, 1] > 0)).astype("int64")


def head(K, hidden, classes=2):
    return K.layers.Dense(classes, activation="softmax")(hidden)


@ordinary(worlds=KERAS_2, refused={"int8": LOOP})
def padded_text_lstm(K):
    x, y = sentences()
    model = K.Sequential(
        [
            K.layers.Input((8,), dtype="int32"),
            K.layers.Embedding(20, 16, mask_zero=True),
            K.layers.LSTM(16),
            K.layers.Dense(2, activation="softmax"),
        ]
    )
    return classifier(model, x, y, rate=0.02, epochs=15)


def _transformer(K, inputs, embedded, attend, classes=2):
    mixed = attend(embedded)
    mixed = K.layers.LayerNormalization()(K.layers.Add()([embedded, mixed]))
    wide = K.layers.Dense(32, activation="gelu")(mixed)
    mixed = K.layers.Add()([mixed, K.layers.Dense(16)(wide)])
    pooled = K.layers.GlobalAveragePooling1D()(mixed)
    return K.Model(inputs, head(K, pooled, classes))


@ordinary(worlds=KERAS_3)
def padded_text_attention(K):
    x, y = sentences()
    inputs = K.layers.Input((8,), dtype="int32")
    embedded = K.layers.Embedding(20, 16, mask_zero=True)(inputs)
    attention = K.layers.MultiHeadAttention(2, 8)
    model = _transformer(K, inputs, embedded, lambda t: attention(t, t))
    return classifier(model, x, y)


@ordinary(worlds=KERAS_2)
def causal_attention(K):
    x, y = series()
    inputs = K.layers.Input((6, 4))
    attention = K.layers.MultiHeadAttention(2, 8)

    def attend(t):
        return attention(t, t, use_causal_mask=True)

    model = _transformer(K, inputs, K.layers.Dense(16)(inputs), attend, 4)
    return classifier(model, x, y, epochs=25)


@ordinary(worlds=KERAS_3)
def attention_with_a_mask_of_its_own(K):
    """First without a mask, then with one that is an input: who may look at whom."""
    x, y = series()
    rng = np.random.default_rng(1)
    mask = (rng.random((640, 6, 6)) < 0.7) | np.eye(6, dtype=bool)
    inputs = [
        K.layers.Input((6, 4), name="series"),
        K.layers.Input((6, 6), dtype="bool", name="mask"),
    ]
    first, second = (K.layers.MultiHeadAttention(2, 8) for _ in range(2))

    def attend(t):
        t = first(t, t)
        return second(t, t, attention_mask=inputs[1])

    embedded = K.layers.Dense(16)(inputs[0])
    model = _transformer(K, inputs, embedded, attend, 4)
    return classifier(model, [x, mask], y, epochs=25)


@ordinary(worlds=KERAS_2)
def tagging_each_step(K):
    """Stacked LSTMs and a TimeDistributed head: a class for each step."""
    x = normal(640, 6, 3)
    y = (x.cumsum(1)[..., 0] > 0).astype("int64")
    model = K.Sequential(
        [
            K.layers.Input((6, 3)),
            K.layers.LSTM(16, return_sequences=True),
            K.layers.LSTM(16, return_sequences=True),
            K.layers.TimeDistributed(K.layers.Dense(2, activation="softmax")),
        ]
    )
    return classifier(model, x, y, rate=0.02, epochs=15)


@ordinary(worlds=KERAS_2, refused={"int8": LOOP})
def encoder_and_decoder(K):
    """The decoder begins with the states of the encoder."""
    x = normal(640, 6, 2)
    total = x.cumsum(1)[..., :1]
    seen, start = x, np.zeros((640, 3, 1), "float32")
    y = total[:, -3:]
    inputs = [K.layers.Input((6, 2), name="seen"), K.layers.Input((3, 1), name="start")]
    _, *states = K.layers.LSTM(16, return_state=True)(inputs[0])
    decoded = K.layers.LSTM(16, return_sequences=True)(inputs[1], initial_state=states)
    outputs = K.layers.Dense(1)(decoded)
    return regressor(K.Model(inputs, outputs), [seen, start], y, rate=0.02, epochs=25)


@ordinary(worlds=KERAS_3)
def causal_convolution(K):
    x = normal(640, 12, 2)
    y = ((x[:, -3:, 0].sum(1) > 0) + 2 * (x[:, -3:, 1].sum(1) > 0)).astype("int64")
    model = K.Sequential(
        [
            K.layers.Input((12, 2)),
            K.layers.Conv1D(12, 3, padding="causal", activation="relu"),
            K.layers.Conv1D(
                12, 3, padding="causal", dilation_rate=2, activation="relu"
            ),
            K.layers.Lambda(lambda t: t[:, -1]),
            K.layers.Dense(4, activation="softmax"),
        ]
    )
    return classifier(model, x, y)


@ordinary(worlds=KERAS_3, refused={"int8": LOOP})
def stateful_rnn(K):
    """Its state lives on from batch to batch, so that these have a fixed size."""
    x, y = series()
    inputs = K.layers.Input(batch_shape=(32, 6, 4))
    hidden = K.layers.GRU(12, stateful=True)(inputs)
    model = K.Model(inputs, head(K, hidden, 4))
    return classifier(model, x, y, rate=0.02, held=32)


@ordinary(worlds=KERAS_2)
def any_length(K):
    """Texts of any length, though here all have the same."""
    x, y = sentences()
    inputs = K.layers.Input((None,), dtype="int32")
    embedded = K.layers.Embedding(20, 16)(inputs)
    seen = K.layers.Conv1D(16, 3, activation="relu", padding="same")(embedded)
    pooled = K.layers.GlobalAveragePooling1D()(seen)
    return classifier(K.Model(inputs, head(K, pooled)), x, y, rate=0.02)


@ordinary(worlds=KERAS_3, refused={"int8": LOOP})
def lstm_of_tutorials(K):
    """relu in an LSTM that reads backwards, as many forecasts have it."""
    x = np.sin(np.linspace(0, 120, 650))[np.arange(640)[:, None] + np.arange(8)]
    x = x[np.random.default_rng(0).permutation(640), :, None].astype("float32")
    model = K.Sequential(
        [
            K.layers.Input((7, 1)),
            K.layers.LSTM(16, activation="relu", go_backwards=True),
            K.layers.Dense(1),
        ]
    )
    return regressor(model, x[:, :7], x[:, 7], rate=0.02, epochs=25)


@ordinary(worlds=KERAS_2, refused={"int8": LOOP})
def backwards_and_masked_lstm(K):
    x, y = sentences()
    inputs = K.layers.Input((8,), dtype="int32")
    embedded = K.layers.Embedding(20, 16, mask_zero=True)(inputs)
    hidden = K.layers.LSTM(12, go_backwards=True)(embedded)
    return classifier(K.Model(inputs, head(K, hidden)), x, y, rate=0.03)


@ordinary(worlds=KERAS_2)
def texts_with_padding(K):
    """Vectorized before, averaged without what the mask says is padding."""
    tokens, y = sentences()
    texts = [" ".join(f"word{t}" for t in row if t) for row in tokens]
    vectorize = K.layers.TextVectorization(25, output_sequence_length=8)
    vectorize.adapt(texts[:384])
    x = vectorize(tf.constant(texts)).numpy().astype("int32")
    inputs = K.layers.Input((8,), dtype="int32")
    embedded = K.layers.Embedding(25, 16, mask_zero=True)(inputs)
    pooled = K.layers.GlobalAveragePooling1D()(embedded)
    hidden = K.layers.Dense(16, activation="relu")(pooled)
    return classifier(K.Model(inputs, head(K, hidden)), x, y, rate=0.02)


@ordinary(worlds=KERAS_3, refused={"int8": LOOP})
def masked_series(K):
    """Steps that are all -1 are padding, in both directions of a GRU."""
    x, _ = series()
    x[np.arange(640) % 2 == 0, 4:] = -1.0
    total = np.where((x == -1).all(2, keepdims=True), 0, x).sum(1)
    y = ((total[:, 0] > 0) + 2 * (total[:, 1] > 0)).astype("int64")
    model = K.Sequential(
        [
            K.layers.Input((6, 4)),
            K.layers.Masking(-1.0),
            K.layers.Bidirectional(K.layers.GRU(12), merge_mode="sum"),
            K.layers.Dense(4, activation="softmax"),
        ]
    )
    return classifier(model, x, y, rate=0.03, epochs=20)


@ordinary()
def masked_softmax(K):
    """Steps are weighed against each other, but for those that the mask leaves out."""
    x = normal(640, 6, 4)
    mask = np.random.default_rng(1).random((640, 6)) < 0.6
    mask[:, 0] = True
    best = np.where(mask, x[..., 0], -np.inf).argmax(1)
    y = (x[np.arange(640), best, 1] > 0).astype("int64")
    inputs = [
        K.layers.Input((6, 4), name="steps"),
        K.layers.Input((6,), dtype="bool", name="open"),
    ]
    scores = K.layers.Flatten()(K.layers.Dense(1)(inputs[0]))
    weights = K.layers.Softmax()(scores, mask=inputs[1])
    pooled = K.layers.Dot(axes=1)([weights, inputs[0]])
    return classifier(
        K.Model(inputs, head(K, pooled)), [x, mask], y, rate=0.05, epochs=25
    )


@ordinary(worlds=KERAS_2)
def dot_and_additive_attention(K):
    x, y = sentences()
    inputs = K.layers.Input((8,), dtype="int32")
    embedded = K.layers.Embedding(20, 16, mask_zero=True)(inputs)
    mixed = [
        K.layers.Attention(use_scale=True)([embedded, embedded]),
        K.layers.AdditiveAttention()([embedded, embedded]),
    ]
    pooled = K.layers.GlobalAveragePooling1D()(K.layers.Concatenate()(mixed))
    return classifier(K.Model(inputs, head(K, pooled)), x, y, rate=0.02)


@ordinary(worlds=KERAS_2, refused={"int8": LOOP})
def tagging_with_padding(K):
    """A class for each word; Keras leaves what is padding out of the scores."""
    x, _ = sentences()
    y = ((x > 9) & (np.roll(x, 1, axis=1) > 4)).astype("int64")
    y[x == 0] = 1
    inside = x[-256:] > 0
    inputs = K.layers.Input((8,), dtype="int32")
    embedded = K.layers.Embedding(20, 16, mask_zero=True)(inputs)
    hidden = K.layers.GRU(16, return_sequences=True)(embedded)
    score = Score(lambda y, p: float(np.mean((p.argmax(-1) == y)[inside])))
    return trained(
        K.Model(inputs, head(K, hidden)),
        x,
        y,
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        scores={"accuracy": score},
        rate=0.02,
    )
