"""TFMOT's own wrappers on a tf_keras model, in `fit` and in a loop, without the rites.

`wrap` clones the model and wraps the layers that the policy names, also in models
inside the model; what TFMOT cannot prune stays as it is, with a reason. Expect 80 %
zeros from both ways and an accuracy of about 0.97. Takes some ten seconds.

    python examples/06_tfmot.py
"""

import tensorflow as tf
import tf_keras

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

EPOCHS, BATCH = 10, 32


def build():
    layers = tf_keras.layers
    features = tf_keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Rescaling(2.0, offset=-1.0),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Flatten(),
        ],
        name="features",
    )
    model = tf_keras.Sequential(
        [layers.Input((8, 8, 1)), features, layers.Dense(10, name="classifier")]
    )
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def main():
    tf_keras.utils.set_random_seed(0)
    (x, y), test = load_digits()
    steps = -(-len(x) // BATCH)
    policy = kpk.PrunePolicy(
        kpk.PolynomialDecay(0.0, 0.8, end_step=steps * EPOCHS // 2)
    )
    model = build()
    model.fit(x, y, epochs=EPOCHS, verbose=0)

    wrapped = kpk.tfmot.wrap(model, policy)
    print(wrapped.report)
    wrapped.model.fit(x, y, epochs=EPOCHS, verbose=0, callbacks=kpk.tfmot.callbacks())
    show("fit", kpk.tfmot.strip(wrapped.model), model, test)

    wrapped = kpk.tfmot.wrap(model, policy)
    optimizer = tf_keras.optimizers.Adam()
    batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch(BATCH)
    with kpk.tfmot.LoopPruning(wrapped.model) as pruning:
        for _ in range(EPOCHS):
            for images, labels in batches:
                with tf.GradientTape() as tape:
                    logits = wrapped.model(images, training=True)
                    loss = model.loss(labels, logits)
                variables = wrapped.model.trainable_variables
                gradients = tape.gradient(loss, variables)
                optimizer.apply_gradients(zip(gradients, variables, strict=True))
                pruning.step()
            pruning.end_epoch()
    show("loop", kpk.tfmot.strip(wrapped.model), model, test)


def show(name, stripped, model, test):
    stripped.compile(loss=model.loss, metrics=["accuracy"])
    score = stripped.evaluate(*test, verbose=0, return_dict=True)["accuracy"]
    zeros = kpk.sparsity_report(stripped).sparsity
    print(f"{name}: {zeros:.1%} zero, accuracy {score:.4f}")


if __name__ == "__main__":
    main()
