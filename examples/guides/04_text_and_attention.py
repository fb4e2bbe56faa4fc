# %% [markdown]
# # Text and attention
#
# **At the end you have** a small transformer encoder for texts, pruned with its
# embedding and its attention, exported without the vocabulary (which no .tflite holds),
# and an LSTM treated likewise. A minute on made-up sentences, so that nothing is
# downloaded.

# %%
import os
import string

import keras
import numpy as np

import keras_prune_kit as kpk

keras.utils.set_random_seed(0)
epochs = 8 if "QUICK" in os.environ else 12
layers = keras.layers

# %% [markdown]
# ## 1. Texts whose meaning is in the order
#
# "good" and "not bad" are positive, "bad" and "not good" negative. Single words do not
# tell, so the model has to look at neighbours.

# %%
rng = np.random.default_rng(0)
GOOD, BAD = ["good", "great", "fine", "lovely"], ["bad", "poor", "dull", "awful"]
FILLER = [f"word{number}" for number in range(300)]


def sentence():
    words = list(rng.choice(FILLER, rng.integers(4, 9)))
    is_good, is_negated = rng.random(2) < 0.5
    said = ["not"] * int(is_negated) + [rng.choice(GOOD if is_good else BAD)]
    place = rng.integers(len(words))
    return " ".join([*words[:place], *said, *words[place:]]), int(is_good ^ is_negated)


texts, labels = map(np.array, zip(*(sentence() for _ in range(4000)), strict=True))
print(texts[0], "->", labels[0])

# %% [markdown]
# ## 2. Text to integers, outside of the model that ships
#
# `TextVectorization` is Python's and TensorFlow's business: a .tflite cannot hold it.
# Keep it apart from the start, and ship the vocabulary as a text file.

# %%
LENGTH = 12
vectorize = layers.TextVectorization(output_sequence_length=LENGTH)
vectorize.adapt(texts[:3000])
vocabulary = vectorize.get_vocabulary()
tokens = np.asarray(vectorize(texts))
train, test = (tokens[:3000], labels[:3000]), (tokens[3000:], labels[3000:])
print(f"{len(vocabulary)} words, {tokens[0]}")

# %% [markdown]
# ## 3. An encoder with attention

# %%
WIDTH = 32


@keras.saving.register_keras_serializable("guides")
class Positions(layers.Layer):
    """Adds a learned vector for each position."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], name="table")

    def call(self, x):
        return x + self.table


inputs = keras.Input((LENGTH,), dtype="int32", name="tokens")
h = layers.Embedding(len(vocabulary), WIDTH, name="words")(inputs)
h = Positions(name="positions")(h)
for block in ("first", "second"):
    attention = layers.MultiHeadAttention(4, WIDTH // 4, name=f"{block}_attention")
    h = layers.LayerNormalization()(h + attention(h, h))
    wide = layers.Dense(2 * WIDTH, activation="relu", name=f"{block}_wide")(h)
    h = layers.LayerNormalization()(h + layers.Dense(WIDTH)(wide))
h = layers.GlobalAveragePooling1D()(h)
model = keras.Model(inputs, layers.Dense(1, activation="sigmoid", name="mood")(h))
model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", metrics=["accuracy"])
model.fit(*train, epochs=epochs, batch_size=64, verbose=0)
print(f"dense {model.evaluate(*test, verbose=0)[1]:.4f}")

# %% [markdown]
# ## 4. What is pruned
#
# The embedding, and of attention the kernels of query, key, value and output, each by
# its path. Norms and the positions stay. Rare words hardly train, so their small rows
# look unimportant: prune the embedding less than the rest, or not at all.

# %%
policy = kpk.PrunePolicy(
    kpk.PolynomialDecay(0.3, 0.75, end_step=kpk.Fraction(0.6)),
    rules=[kpk.Rule("words", 0.5), kpk.Rule("mood", None)],
)
print(policy.plan(model))

# %% [markdown]
# ## 5. Prune

# %%
model.save("dense.keras")
pruning = kpk.PruningCallback(policy)
model.fit(*train, epochs=epochs, batch_size=64, verbose=0, callbacks=[pruning])
print(f"{pruning.report.sparsity:.1%} zeros")

# %% [markdown]
# ## 6. Export
#
# `dynamic` is the first choice for attention: it needs no ranges of activations, and
# large encoders have a few dimensions whose values dwarf the rest, which int8 cannot
# hold. If it must be int8, the export compares the file with the model and warns.

# %%
files = {
    "dynamic": kpk.export_tflite(model, "mood.tflite", quantization="dynamic"),
    "int8": kpk.export_tflite(
        model, quantization="int8", representative_data=train[0][:200]
    ),
}
dense = keras.models.load_model("dense.keras")
print(kpk.compare({"dense": dense, "pruned": model, **files}, *test))

# %% [markdown]
# The task is easy, so a perfect score says only that nothing broke. Look at `ms`: int8
# is no faster than `dynamic` here, as the normalizations and softmaxes between the
# small products cost more than these. On a CPU an encoder can take longer in int8 than
# in float32. `compress(target="smallest")` ships int8, the smallest; the same weights
# are nearly as small and faster in
# `kpk.export_tflite(report.model, quantization="dynamic")`.
#
# ## 7. On the device: vocabulary and file
#
# Lower-case, strip punctuation, split at spaces, look up; 0 pads, 1 is an unknown word.
# These are the rules of `TextVectorization` as it was set up here; five lines in any
# language.

# %%
number_of = {word: number for number, word in enumerate(vocabulary)}


def classify(text):
    plain = text.lower().translate(str.maketrans("", "", string.punctuation))
    numbers = [number_of.get(word, 1) for word in plain.split()][:LENGTH]
    padded = np.array([numbers + [0] * (LENGTH - len(numbers))], "int32")
    return float(files["dynamic"].predict(padded)[0, 0])


for text in ("A lovely word3, word8!", "word5 not good word9", "word1 not bad at all"):
    print(f"{text}: {classify(text):.2f}")

# %% [markdown]
# ## 8. A recurrent model
#
# Its kernel and its recurrent kernel are both pruned. The recurrent one is used once
# for each word, so its errors add up: ask less of such a layer than of the others.

# %%
lstm = keras.Sequential(
    [
        keras.Input((LENGTH,), dtype="int32"),
        layers.Embedding(len(vocabulary), WIDTH),
        layers.Bidirectional(layers.LSTM(WIDTH), name="both_ways"),
        layers.Dense(1, activation="sigmoid"),
    ]
)
lstm.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", metrics=["accuracy"])
lstm.fit(*train, epochs=epochs // 2, batch_size=64, verbose=0)
policy = kpk.PrunePolicy(0.7, rules=[kpk.Rule("both_ways.*", 0.5)])
pruning = kpk.PruningCallback(policy)
lstm.fit(*train, epochs=epochs // 2, batch_size=64, verbose=0, callbacks=[pruning])
print(pruning.report)
file = kpk.export_tflite(lstm, quantization="dynamic")
print(f"\n{file.evaluate(*test):.4f} from {file}")

# %% [markdown]
# ## What can go wrong
#
# - **"String inputs cannot be exported".** The vocabulary is inside the model. The
#   error has the line that exports the rest.
# - **Accuracy of int8 far below the model's.** Read the warning of the export; use
#   `dynamic`.
# - **Padding counts as words.** `mask_zero=True` makes attention and LSTM skip it; the
#   export takes care of the mask's large negative numbers.
# - **A batch of one.** The .tflite of a recurrent model has a fixed batch of one: run
#   the samples one by one.
# - **A subclass of your own stays dense.** A layer prunes what its method
#   `get_prunable_weights()` returns; `Positions` above has none, and stays.
#
# ## Next
#
# [Tabular data](05_tabular_data.ipynb). Reference: `help(kpk.Rule)`,
# `help(kpk.export_tflite)`.
