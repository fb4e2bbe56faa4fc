"""Models that become faster: `compress` takes channels out, to a budget or a target."""

import numpy as np
import pytest
from trained import trained_once

import keras_prune_kit as kpk
from keras_prune_kit._keras.datasets import input_samples
from keras_prune_kit.channels import macs_of
from keras_prune_kit.compression.budgets import (
    check_macs,
    check_speedup,
    thinning_for_macs,
)
from keras_prune_kit.digits import load_digits
from keras_prune_kit.measuring.latency import latencies

DATA, TEST = load_digits()
_halved = {}


def build(K):
    layers = K.layers
    inputs = layers.Input((8, 8, 1))
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="stem")(inputs)
    branch = layers.Conv2D(32, 3, padding="same", name="branch")(x)
    x = layers.ReLU()(layers.Add()([x, branch]))
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dense(64, activation="relu", name="hidden")(x)
    model = K.Model(inputs, layers.Dense(10, activation="softmax", name="head")(x))
    model.compile(
        K.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


@pytest.fixture
def model(K):
    return trained_once(build, K, DATA, epochs=6, batch_size=64)


@pytest.fixture
def halved(K, model):
    """A model that has lost about half of its channels."""
    if K.__name__ not in _halved:
        report = compressed(model, macs=0.3, quantization="none", epochs=6)
        _halved[K.__name__] = report, model
    return _halved[K.__name__]


def compressed(model, **arguments):
    return kpk.compress(
        model, DATA, validation_data=TEST, batch_size=64, verbose=0, **arguments
    )


def sizes(model):
    return {
        name: model.get_layer(name).output.shape[-1]
        for name in ("stem", "branch", "hidden", "head")
    }


@pytest.mark.quick_in("keras")
def test_a_share_of_the_multiplications_is_a_budget(halved):
    report, model = halved
    before, after = (m.macs for m in (report.baseline, report.final))
    assert after <= 0.3 * before
    # The file has as many as the trace of the model says.
    assert report.stages[-2].macs == after
    left = sizes(report.model)
    assert left["stem"] == left["branch"] == 16
    assert left["head"] == 10
    assert report.final.score > report.baseline.score - 0.03
    # 32 filters become 16 from 20.5 on, which are rounded to a multiple of 8.
    assert report.settings["fraction"] == pytest.approx(0.36, abs=0.01)
    assert "faster" in report.gain
    # The model and the file compute the same.
    x = TEST[0][:50]
    np.testing.assert_allclose(
        report.model.predict(x, verbose=0), report.tflite.predict(x), atol=1e-5
    )
    assert sizes(model) == {"stem": 32, "branch": 32, "hidden": 64, "head": 10}
    assert all(np.count_nonzero(weight) for weight in model.get_weights())


def test_a_uniform_cut_leaves_what_the_budget_asks_for(model):
    thinning = thinning_for_macs(model, 0.3, 1)
    small = thinning.at_once(model)
    whole = kpk.compare(
        {"a": model, "b": small}, np.zeros((2, 8, 8, 1)), np.array([0, 0])
    )
    first, second = (m.macs for m in whole.measurements)
    assert second <= 0.3 * first
    # A milder cut would not do.
    milder = kpk.remove_channels(model, thinning.fraction - 0.05)
    more = kpk.compare({"a": milder}, np.zeros((2, 8, 8, 1)), np.array([0, 0]))
    assert more.measurements[0].macs > 0.3 * first


@pytest.mark.slow
def test_a_measured_speed_is_a_budget(K, model):
    report = compressed(
        model,
        speedup=1.5,
        epochs=4,
    )
    assert report.speedup is not None
    assert report.final.macs < 0.7 * report.baseline.macs
    assert sizes(report.model)["hidden"] % 8 == 0
    assert report.final.score > 0.8


@pytest.mark.quick_in("keras")
def test_the_fastest_file_that_holds_is_searched(K, model, tmp_path):
    report = compressed(
        model,
        target="fastest",
        max_accuracy_drop=0.03,
        epochs=4,
        out_dir=tmp_path / "out",
    )
    search = report.search
    assert search.target == "fastest"
    assert [a.epochs for a in search.attempts] == [0, 2, 2]
    assert len({a.gzip_bytes for a in search.attempts}) == 3
    held = [a for a in search.attempts if a.holds]
    chosen = search.attempts[search.chosen]
    assert chosen.latency_ms == min(a.latency_ms for a in held)
    assert report.final.score >= search.baseline_score - 0.03 - 1e-6
    assert "channels, numbers" in str(report)
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "against latency" in page and "MACs" in page
    again = K.models.load_model(tmp_path / "out" / "pruned.keras")
    assert sizes(again) == sizes(report.model)


@pytest.mark.quick_in("tf_keras")
def test_zero_channels_of_a_policy_leave_at_the_end(K, model):
    policy = kpk.PrunePolicy(0.5, structure=kpk.Channel())
    report = compressed(model, policy=policy, quantization="none", epochs=2)
    assert sizes(report.model) == {"stem": 16, "branch": 16, "hidden": 32, "head": 10}
    assert report.final.macs < 0.3 * report.baseline.macs
    assert report.sparsity_report.weights[0].sparsity == 0.5
    x = TEST[0][:50]
    np.testing.assert_allclose(
        report.model.predict(x, verbose=0), report.tflite.predict(x), atol=1e-5
    )


@pytest.mark.slow
def test_zeros_of_what_is_left(K, model):
    report = compressed(
        model,
        macs=0.3,
        policy=0.5,
        epochs=6,
    )
    assert report.final.macs <= 0.3 * report.baseline.macs
    assert report.sparsity_report.sparsity == pytest.approx(0.5, abs=0.01)


def test_latencies_are_measured_in_turns(model):
    small = kpk.remove_channels(model, 0.8)
    files = {"whole": kpk.export_tflite(model), "small": kpk.export_tflite(small)}
    taken = latencies(files, input_samples(TEST, 1), runs=30)
    assert list(taken) == ["whole", "small"]
    assert all(time > 0 for time in taken.values())


@pytest.mark.quick_in("keras")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"speedup": 2, "macs": 0.5}, "Only one of target, speedup and macs"),
        ({"target": "smallest", "macs": 0.5}, "Only one of target, speedup and macs"),
        ({"speedup": 1}, "above 1, such as 2"),
        ({"speedup": "2x"}, "above 1, such as 2"),
        ({"speedup": float("nan")}, "above 1, such as 2"),
        ({"macs": 1.0}, "above 0 and below 1"),
        ({"macs": 50}, "above 0 and below 1"),
        ({"macs": True}, "above 0 and below 1"),
        ({"macs": 0.0001}, "cannot be reached"),
        ({"speedup": 900}, "cannot be reached"),
        ({"speedup": 2, "multiple_of": 0}, "multiple_of"),
    ],
)
def test_bad_budgets_are_found_before_training(model, arguments, message):
    before = model.get_weights()
    with pytest.raises((ValueError, TypeError), match=message):
        compressed(model, epochs=4, **arguments)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(old, new)


def test_a_model_that_can_lose_nothing_says_so(K):
    only = K.Sequential([K.layers.Input((8, 8, 1)), K.layers.Flatten()])
    only.add(K.layers.Dense(10, activation="softmax"))
    only.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    with pytest.raises(ValueError, match="an output of the model"):
        compressed(only, speedup=2.0)


@pytest.mark.quick_in("tf_keras")
def test_trials_take_channels_out(model, tmp_path, K):
    import keras_tuner

    hypermodel = kpk.CompressionHyperModel(
        model,
        quantization=["dynamic"],
        channels=(0.25, 0.75),
        max_accuracy_drop=0.1,
    )
    tuner = kpk.CompressionTuner(
        oracle=keras_tuner.oracles.RandomSearchOracle(
            max_trials=1, seed=1, objective=keras_tuner.Objective("macs", "min")
        ),
        hypermodel=hypermodel,
        directory=tmp_path,
    )
    tuner.search(*DATA, validation_data=TEST, epochs=2, batch_size=64, verbose=0)
    best = tuner.oracle.get_best_trials(1)[0]
    fraction = best.hyperparameters.get("channels")
    assert 0.25 <= fraction <= 0.75
    loaded = tuner.get_best_models()[0]
    assert sizes(loaded)["hidden"] == 64 - kpk.Channel(multiple_of=8).count(
        fraction, 64
    )
    front = kpk.pareto_front(tuner)
    assert len(front.trials) == 1


def pictures(K, *layers):
    model = K.Sequential([K.layers.Input((8, 8, 1)), *layers])
    model.add(K.layers.GlobalAveragePooling2D())
    model.add(K.layers.Dense(10, activation="softmax", name="head"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def same(K, filters=32, **options):
    return K.layers.Conv2D(filters, 3, padding="same", **options)


@pytest.mark.quick_in("keras")
def test_frozen_channels_are_no_part_of_a_budget(K):
    layers = [same(K, activation="relu") for _ in range(2)]
    hidden = [same(K, activation="relu", name="free"), same(K, name="last")]
    model = pictures(K, *layers, *hidden)
    for layer in layers:
        layer.trainable = False
    thinning = thinning_for_macs(model, 0.7, 1)
    assert thinning.macs_of(model) <= 0.7 * macs_of(model)
    small = thinning.at_once(model)
    assert [layer.filters for layer in small.layers[:2]] == [32, 32]
    assert small.get_layer("free").filters < 32
    # More cannot leave while they are frozen.
    with pytest.raises(ValueError, match="cannot be reached"):
        thinning_for_macs(model, 0.2, 1)


@pytest.mark.quick_in("tf_keras")
def test_a_model_that_is_all_frozen_says_so(K):
    model = pictures(K, same(K, activation="relu"), same(K, activation="relu"))
    for layer in model.layers[:2]:
        layer.trainable = False
    with pytest.raises(ValueError, match="are frozen.*trainable = True"):
        compressed(model, macs=0.5, epochs=1)


@pytest.mark.quick_in("keras")
def test_channels_that_would_show_at_borders_are_not_zeroed(K):
    """A filter of zeros gives 0.5 behind a sigmoid, and the padding is zero."""
    inside = [same(K, activation="sigmoid", name=f"s{i}") for i in range(2)]
    model = pictures(K, *inside, same(K, activation="relu", name="free"))
    plan = kpk.PrunePolicy(0.5, structure=kpk.Channel()).plan(model)
    # What a mean and a Dense read may be a constant: it moves into the bias.
    assert [weight.path for weight in plan.weights] == ["free/kernel"]
    skipped = {item.path: item.reason for item in plan.skipped}
    assert "needs zeros" in skipped["s0/kernel"]
    pruning = kpk.PruningCallback(
        kpk.PrunePolicy(kpk.ConstantSparsity(0.5), structure=kpk.Channel())
    )
    model.fit(*DATA, epochs=1, batch_size=256, verbose=0, callbacks=[pruning])
    small = kpk.remove_zero_channels(model)
    assert small.get_layer("free").filters == 16


@pytest.mark.quick_in("keras")
def test_layers_that_are_not_followed_lose_nothing(K):
    layers = K.layers
    model = K.Sequential(
        [
            layers.Input((4, 8, 8, 3)),
            layers.TimeDistributed(layers.Conv2D(16, 3, padding="same"), name="each"),
            layers.TimeDistributed(layers.GlobalAveragePooling2D()),
            layers.GRU(16, name="gru"),
            layers.Dense(3),
        ]
    )
    plan = kpk.PrunePolicy(0.5, structure=kpk.Channel()).plan(model)
    assert {weight.path.split("/")[0] for weight in plan.weights} == {"gru"}
    assert "not followed" in str(kpk.channel_groups(model))
    with pytest.raises(ValueError, match="each.*speedup="):
        thinning_for_macs(model, 0.5, 1)


@pytest.mark.quick_in("keras")
def test_a_missed_budget_is_told(halved):
    report, _ = halved
    check_macs(report, 0.3)
    with pytest.warns(UserWarning, match="macs=0.1 is missed: 0.2"):
        check_macs(report, 0.1)
    with pytest.warns(UserWarning, match="speedup=1000 is missed"):
        check_speedup(report, 1000)


@pytest.mark.slow
def test_the_smallest_file_loses_channels_where_the_metric_holds(K, model):
    report = compressed(model, target="smallest", max_accuracy_drop=0.05, epochs=16)
    assert sizes(report.model) == {"stem": 16, "branch": 16, "hidden": 32, "head": 10}
    assert sum(attempt.epochs for attempt in report.search.attempts) == 12
    assert report.search.attempts[report.search.chosen].holds
    assert report.ratio > 15
