"""Pruning in a training loop of your own, around a compiled train step.

The pruner starts before the step is traced; one `step()` after each optimizer step is
all it asks for. Expect 75 % zeros in every kernel but the last, which stays dense, and
about 0.97 on the test images. Takes a few seconds.

    python examples/03_custom_loop.py
"""

import keras
import tensorflow as tf

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

EPOCHS = 30


def main():
    keras.utils.set_random_seed(0)
    (x, y), (x_test, y_test) = load_digits()
    batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch(32)
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation="relu", name="hidden"),
            keras.layers.Dense(10, name="classifier"),
        ]
    )
    optimizer = keras.optimizers.Adam()
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def train_step(images, labels):
        with tf.GradientTape() as tape:
            loss = loss_of(labels, model(images, training=True))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(
            zip(gradients, model.trainable_variables, strict=True)
        )
        return loss

    policy = kpk.PrunePolicy(
        kpk.CosineDecay(0.0, 0.75, begin_step=kpk.Epochs(5)),
        rules=[kpk.Rule("classifier", None)],
    )
    with kpk.Pruner(
        model, policy, steps_per_epoch=len(batches), epochs=EPOCHS
    ) as pruner:
        for epoch in range(EPOCHS):
            for images, labels in batches:
                loss = train_step(images, labels)
                pruner.step()
            if epoch % 5 == 4:
                print(f"epoch {epoch + 1}: loss {loss:.4f}, {pruner.sparsity:.1%} zero")

    predicted = model.predict(x_test, verbose=0).argmax(axis=1)
    print(pruner.report())
    print(f"\naccuracy {(predicted == y_test).mean():.4f}")


if __name__ == "__main__":
    main()
