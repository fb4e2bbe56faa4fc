"""What pruning cost is won back: learning-rate rewinding and distillation.

A CNN learns the package's digits along a falling learning rate and is pruned to 97 %.
Fine-tuned at the rate that training ended with it recovers little; rewinding replays
the rates of the last epochs instead (Renda et al. 2020, arXiv 2003.02389), for which
Keras' own LearningRateScheduler is all it takes; and half of each label can come from
the model as it was. Expect test accuracies of about 0.98 dense, 0.90 fine-tuned, 0.97
rewound and 0.975 rewound and distilled (the means of three seeds are 0.986, 0.881,
0.969 and 0.972, so the last step is within the noise here). Takes half a minute.

    python examples/08_recovery.py
"""

import math

import keras

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

DENSE_EPOCHS, EPOCHS = 30, 15


def build():
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )


def train(model, x, y, rates, callbacks=()):
    """Trains on one-hot labels or soft targets with a learning rate an epoch."""
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: rates[epoch])
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    callbacks = [schedule, *callbacks]
    return model.fit(x, y, epochs=len(rates), verbose=0, callbacks=callbacks)


def prune(dense, x, y, rates):
    model = keras.models.clone_model(dense)
    model.set_weights(dense.get_weights())
    policy = kpk.allocate(model, 0.97)
    train(model, x, y, rates, [kpk.PruningCallback(policy)])
    return model


def main(seed=0):
    keras.utils.set_random_seed(seed)
    (x, y), (x_test, y_test) = load_digits()
    y, y_test = keras.utils.to_categorical(y), keras.utils.to_categorical(y_test)

    dense = build()
    cosine = [math.cos(math.pi / 2 * e / DENSE_EPOCHS) for e in range(DENSE_EPOCHS)]
    history = train(dense, x, y, [3e-3 * c for c in cosine])
    rates = history.history["learning_rate"]  # tf_keras calls it "lr".
    last = rates[-EPOCHS:]

    _, targets = kpk.soft_targets(dense, (x, y))
    recovered = {
        "dense": dense,
        "fine-tuned": prune(dense, x, y, [rates[-1]] * EPOCHS),
        "rewound": prune(dense, x, y, last),
        "rewound and distilled": prune(dense, x, targets, last),
    }
    for name, model in recovered.items():
        score = model.evaluate(x_test, y_test, verbose=0, return_dict=True)["accuracy"]
        zeros = kpk.sparsity_report(model).sparsity
        print(f"{name:22} {score:.4f} at {zeros:.1%} zeros")


if __name__ == "__main__":
    main()
