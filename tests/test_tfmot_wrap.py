"""Wrapping tf_keras models for TFMOT, and what it refuses."""

import keras
import models
import numpy as np
import pytest
import tf_keras as K
from marks import slow

import keras_prune_kit as kpk

STEPS = 8


def compiled(build):
    model = build(K)
    model.compile(K.optimizers.SGD(1e-3), "mse")
    return model


def batch_of(model):
    rng = np.random.default_rng(0)
    inputs = [
        rng.uniform(0, 9, (8, *i.shape[1:])).astype("float32") for i in model.inputs
    ]
    outputs = [np.zeros((8, *o.shape[1:]), "float32") for o in model.outputs]
    return inputs, outputs


def predictions(model, inputs):
    outputs = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    return np.concatenate([np.ravel(out) for out in outputs])


def train(wrapped, batch):
    wrapped.fit(
        *batch, epochs=STEPS, batch_size=8, verbose=0, callbacks=kpk.tfmot.callbacks()
    )


def mobilenet(K, last="conv_pw_2_relu"):
    """Its first layers, as those that follow only repeat them."""
    base = K.applications.MobileNet(
        (32, 32, 3), alpha=0.25, weights=None, include_top=False
    )
    base = K.Model(base.input, base.get_layer(last).output, name="mobilenet")
    pool = K.layers.GlobalAveragePooling2D()
    layers = [K.layers.Input((32, 32, 3)), base, pool, K.layers.Dense(3)]
    return K.Sequential(layers)


def lstm(K):
    return K.Sequential(
        [
            K.layers.Input((6,)),
            K.layers.Embedding(20, 8, mask_zero=True),
            K.layers.LSTM(8),
            K.layers.Dense(3),
        ]
    )


def preprocessing(K):
    return K.Sequential(
        [
            K.layers.Input((8,)),
            K.layers.Rescaling(0.5),
            K.layers.Dense(8),
            K.layers.Lambda(lambda x: 2 * x),
            K.layers.Dense(3),
        ]
    )


# How many weights are pruned, and which paths stay dense.
EXPECTED = {
    models.functional: (2, []),
    models.nested: (2, []),
    models.residual: (2, []),
    models.shared: (1, ["twin/kernel"]),
    models.two_in_two_out: (2, []),
    models.recurrent: (9, []),
    models.attention: (5, ["layer_normalization"]),
    models.convolutional: (4, ["batch_normalization", "depthwise_conv2d"]),
    models.text: (2, []),
    models.dense_subclass: (2, []),
    models.self_declared: (2, []),
    models.unknown_layer: (1, ["mystery"]),
    mobilenet: (4, None),
    lstm: (4, []),
    preprocessing: (2, []),
}


@pytest.mark.parametrize(
    "build",
    [b if i % 2 == 0 else slow(b) for i, b in enumerate(EXPECTED)],
    ids=lambda build: build.__name__,
)
def test_wrapped_trained_and_stripped(build):
    model, (count, dense) = compiled(build), EXPECTED[build]
    batch = batch_of(model)
    before, weights = predictions(model, batch[0]), model.get_weights()
    wrapped, report = kpk.tfmot.wrap(model, 0.5, steps_per_epoch=STEPS)
    assert len(report.weights) == count
    if dense is not None:
        assert len(report.skipped) == len(dense)
        for item, start in zip(report.skipped, dense, strict=True):
            assert item.path.startswith(start) and item.reason
    np.testing.assert_array_equal(predictions(wrapped, batch[0]), before)

    train(wrapped, batch)
    stripped = kpk.tfmot.strip(wrapped)
    pruned = {item.path for item in report.weights}
    for item in kpk.sparsity_report(stripped).weights:
        assert abs(item.zeros - item.size * (item.path in pruned) / 2) <= 1, item.path
    np.testing.assert_allclose(
        predictions(stripped, batch[0]), predictions(wrapped, batch[0]), atol=1e-5
    )
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not any(hasattr(layer, "pruning_step") for layer in stripped.layers)


def test_a_whole_mobilenet():
    model = mobilenet(K, "conv_pw_13_relu")
    wrapped, report = kpk.tfmot.wrap(model, 0.5, steps_per_epoch=STEPS)
    assert len(report.weights) == 15
    kinds = {item.path.split("/")[1] for item in report.skipped}
    assert all("bn" in kind or "conv_dw" in kind for kind in kinds)
    x, _ = batch_of(model)
    np.testing.assert_array_equal(predictions(wrapped, x), predictions(model, x))


def test_each_layer_gets_its_own_schedule():
    model = K.Sequential(
        [
            K.layers.Input((8,)),
            *(K.layers.Dense(8, name=name) for name in "abcd"),
        ]
    )
    policy = kpk.PrunePolicy(
        kpk.PolynomialDecay(0.1, 0.8, 10, 261, power=2),
        [
            kpk.Rule("b", kpk.ConstantSparsity(0.5, 3, frequency=7)),
            kpk.Rule("c", kpk.CosineDecay(0.0, 0.6, 0, 50, frequency=100)),
            kpk.Rule("d", None),
        ],
    )
    wrapped, report = kpk.tfmot.wrap(model, policy)
    first, second, third, last = wrapped.layers
    assert first.pruning_schedule.get_config() == {
        "class_name": "PolynomialDecay",
        "config": {
            "initial_sparsity": 0.1,
            "final_sparsity": 0.8,
            "begin_step": 10,
            "end_step": 260,  # the last multiple of the frequency
            "frequency": 2,
            "power": 2,
        },
    }
    assert second.pruning_schedule.get_config()["config"] == {
        "target_sparsity": 0.5,
        "begin_step": 3,
        "end_step": -1,
        "frequency": 7,
    }
    ours = kpk.CosineDecay(0.0, 0.6, 0, 50)
    for step in (0, 10, 25, 50, 60):
        assert float(third.pruning_schedule(step)[1]) == pytest.approx(ours(step))
    assert bool(third.pruning_schedule(50)[0])
    assert isinstance(last, K.layers.Dense)
    assert [item.path for item in report.skipped] == ["d/kernel"]


def test_blocks():
    model = compiled(models.sequential)
    policy = kpk.PrunePolicy(
        kpk.ConstantSparsity(0.5), structure=kpk.Block((2, 1), pooling="max")
    )
    wrapped = kpk.tfmot.wrap(model, policy).model
    assert wrapped.layers[0].block_size == (2, 1)
    assert wrapped.layers[0].block_pooling_type == "MAX"
    train(wrapped, batch_of(model))
    kernel = kpk.tfmot.strip(wrapped).layers[0].kernel.numpy()
    blocks = (kernel != 0).reshape(4, 2, 16)
    np.testing.assert_array_equal(blocks[:, 0], blocks[:, 1])
    assert blocks.mean() == 0.5


def test_two_of_four_and_one_of_four(tmp_path):
    inputs = K.layers.Input((6, 6, 4))
    hidden = K.layers.Flatten()(K.layers.Conv2D(4, 3, name="conv")(inputs))
    model = K.Model(inputs, K.layers.Dense(3, name="dense")(hidden))
    model.compile(K.optimizers.SGD(1e-5), "mse")  # more diverges on these inputs
    policy = kpk.PrunePolicy(
        0.5,
        kpk.Rule("dense", 0.75, structure=kpk.NofM(1, 4)),
        structure=kpk.NofM(2, 4),
    )
    wrapped = kpk.tfmot.wrap(model, policy, steps_per_epoch=STEPS).model
    wrapped.save(tmp_path / "wrapped.keras")
    wrapped = kpk.tfmot.load(tmp_path / "wrapped.keras")
    train(wrapped, batch_of(model))
    stripped = kpk.tfmot.strip(wrapped)
    conv = stripped.get_layer("conv").kernel.numpy()
    dense = stripped.get_layer("dense").kernel.numpy()
    assert ((conv != 0).sum(axis=2) == 2).all()
    assert ((dense.reshape(-1, 4, 3) != 0).sum(axis=1) == 1).all()


def test_the_copy_is_compiled_like_the_original():
    model = models.sequential(K)
    assert kpk.tfmot.wrap(model, 0.5, steps_per_epoch=1).model.optimizer is None
    model.compile(K.optimizers.Adam(0.25), "mae")
    wrapped = kpk.tfmot.wrap(model, 0.5, steps_per_epoch=1).model
    assert wrapped.loss == "mae"
    assert float(wrapped.optimizer.learning_rate) == 0.25
    assert wrapped.optimizer is not model.optimizer


def test_the_report_prints():
    model = models.unknown_layer(K)
    wrapped = kpk.tfmot.wrap(model, 0.5, steps_per_epoch=1)
    text = str(wrapped.report)
    assert text.startswith("Wrapped by TFMOT for pruning\n")
    assert "skipped mystery: Mystery names no prunable weights" in text


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (kpk.PrunePolicy(0.5, scope="global"), "within each layer only"),
        (kpk.PrunePolicy(0.5, criterion=kpk.random_scores(1)), "by magnitude only"),
        (kpk.PrunePolicy(0.5, structure=kpk.Channel()), "Block for kernels with two"),
        (0.5, "steps_per_epoch="),
    ],
)
def test_what_tfmot_cannot_do_names_the_way_out(policy, message):
    with pytest.raises(ValueError, match=message):
        kpk.tfmot.wrap(models.sequential(K), policy)


def test_weights_of_a_layer_that_differ():
    policy = kpk.PrunePolicy(0.5, kpk.Rule("lstm/recurrent_kernel", None))
    model = K.Sequential([K.layers.Input((6, 4)), K.layers.LSTM(8, name="lstm")])
    with pytest.raises(ValueError, match="alike.*'lstm'.*PruningCallback"):
        kpk.tfmot.wrap(model, policy, steps_per_epoch=1)


def test_a_subclassed_model_is_refused():
    with pytest.raises(ValueError, match="Sequential or functional.*PruningCallback"):
        kpk.tfmot.wrap(models.subclassed(K), 0.5, steps_per_epoch=1)


def test_nothing_to_strip_and_wrapped_twice():
    model = models.nested(K)
    with pytest.raises(ValueError, match="nothing to strip"):
        kpk.tfmot.strip(model)
    wrapped = kpk.tfmot.wrap(model, 0.5, steps_per_epoch=1).model
    with pytest.raises(ValueError, match="wrapped already"):
        kpk.tfmot.wrap(wrapped, 0.5, steps_per_epoch=1)


def test_our_own_pruner_refuses_a_wrapped_model():
    model = compiled(models.nested)
    wrapped = kpk.tfmot.wrap(model, 0.5, steps_per_epoch=1).model
    with pytest.raises(ValueError, match="'encoder/.*inside' is wrapped by TFMOT"):
        kpk.Pruner(wrapped, 0.5)
    with pytest.raises(ValueError, match="kpk.tfmot.callbacks"):
        wrapped.fit(*batch_of(model), verbose=0, callbacks=[kpk.PruningCallback(0.5)])


@pytest.mark.parametrize(
    ("call", "instead"),
    [
        (lambda model: kpk.tfmot.wrap(model, 0.5), "kpk.PruningCallback"),
        (kpk.tfmot.strip, "leaves no wrapper"),
        (kpk.tfmot.quantize_aware, "kpk.export_tflite"),
        (lambda model: kpk.tfmot.cluster(model, 4), "kpk.PruningCallback"),
        (kpk.tfmot.LoopPruning, "kpk.PruningCallback"),
    ],
)
def test_a_keras_3_model_is_told_what_to_use(call, instead):
    with pytest.raises(TypeError, match=f"tf_keras.*{instead}"):
        call(models.sequential(keras))


def test_the_report_of_a_wrapped_model_has_no_complaint_about_the_wrappers():
    model = K.Sequential([K.layers.Input((4,)), K.layers.Dense(8)])
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.5))
    wrapped = kpk.tfmot.wrap(model, policy).model
    report = kpk.sparsity_report(wrapped)
    assert [weight.shape for weight in report.weights] == [(4, 8)]
    assert report.skipped == ()
