"""Which layers get pruned: by type, by name, by function; sequential and functional.

Expect the plan of each policy, then a functional model whose convolution has 50 %
zeros, whose hidden layer has 2 of every 4 weights and whose classifier stays dense, at
an accuracy of about 0.97. Takes about ten seconds.

    python examples/04_some_layers.py
"""

import keras
from keras import layers

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits


def sequential():
    return keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="hidden"),
            layers.Dense(10, activation="softmax", name="classifier"),
        ]
    )


def functional():
    """A residual block, then a head in a model of its own."""
    head = keras.Sequential(
        [
            layers.Input((8 * 8 * 16,)),
            layers.Dense(64, activation="relu", name="hidden"),
            layers.Dense(10, activation="softmax", name="classifier"),
        ],
        name="head",
    )
    image = layers.Input((8, 8, 1))
    features = layers.Conv2D(16, 3, padding="same", activation="relu")(image)
    branch = layers.Conv2D(16, 3, padding="same", name="branch")(features)
    merged = layers.Flatten()(layers.Add()([features, branch]))
    return keras.Model(image, head(merged))


def main():
    keras.utils.set_random_seed(0)
    model = sequential()
    by_type = kpk.PrunePolicy(0.8, [kpk.Rule(layers.Dense, 0.5)])
    by_name = kpk.PrunePolicy(0.8, [kpk.Rule("classifier", None)])
    by_function = kpk.PrunePolicy(
        0.5, [kpk.Rule(lambda layer: getattr(layer, "units", 0) > 32, 0.9)]
    )
    for policy in (by_type, by_name, by_function):
        print(policy.plan(model))

    (x, y), (x_test, y_test) = load_digits()
    model = functional()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=8, verbose=0)
    policy = kpk.PrunePolicy(
        kpk.PolynomialDecay(0.0, 0.8),
        [
            kpk.Rule(layers.Conv2D, 0.5),
            kpk.Rule("head/hidden", 0.5, structure=kpk.NofM(2, 4)),
            kpk.Rule("head/classifier", None),
        ],
    )
    pruning = kpk.PruningCallback(policy)
    model.fit(x, y, epochs=8, verbose=0, callbacks=[pruning])
    print(pruning.report)
    score = model.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]
    print(f"\naccuracy {score:.4f}")


if __name__ == "__main__":
    main()
