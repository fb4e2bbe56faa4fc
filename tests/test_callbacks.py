"""Callbacks: a contract for all of them, then each one's own job."""

import contextlib
import copy
import inspect
import os
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import keras_prune_kit as kpk
from keras_prune_kit import _keras, callbacks
from keras_prune_kit._keras.stage_progress import StageProgress
from keras_prune_kit.callbacks import backup_and_restore
from keras_prune_kit.pruner import last_good

STEPS = 8  # of an epoch of `data` in batches of 16

BUILDERS = {
    "BackupAndRestore": lambda folder: kpk.BackupAndRestore(folder / "backup"),
    "ClusteringCallback": lambda folder: kpk.ClusteringCallback(8),
    "StageProgress": lambda folder: StageProgress(),  # of the seam: not exported
    "GzipSizeLogger": lambda folder: kpk.GzipSizeLogger(),
    "PruningCallback": lambda folder: kpk.PruningCallback(kpk.PrunePolicy(0.5)),
    "SparsitySummaries": lambda folder: kpk.SparsitySummaries(folder / "logs"),
    "TargetSparsityCheckpoint": lambda folder: kpk.TargetSparsityCheckpoint(
        folder / "best.weights.h5", monitor="loss", save_weights_only=True
    ),
}


def test_every_exported_callback_is_under_contract():
    exported = {
        name for name in callbacks.__all__ if inspect.isclass(getattr(callbacks, name))
    }
    assert exported | {"StageProgress"} == set(BUILDERS)


@pytest.mark.each_value
@pytest.mark.parametrize("name", BUILDERS)
def test_contract_works_in_both_worlds_twice_and_as_a_copy(mlp, data, tmp_path, name):
    original = BUILDERS[name](tmp_path)
    for callback in (original, original, copy.deepcopy(original)):
        model = mlp()
        pruning = kpk.PruningCallback(kpk.ConstantSparsity(0.5))
        others = [] if name == "PruningCallback" else [pruning]
        history = model.fit(*data, epochs=2, verbose=0, callbacks=[*others, callback])
        assert kpk.sparsity_report(model).zeros == 64 + 24
        assert "sparsity" in history.history


@pytest.mark.each_value
@pytest.mark.parametrize("knows_length", [True, False])
@pytest.mark.parametrize("name", BUILDERS)
def test_contract_is_at_its_end_when_no_epoch_is_left(
    mlp, data, tmp_path, name, knows_length
):
    """As in a run that was killed when it had done its last epoch."""
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(16)
    if not knows_length:
        dataset = dataset.filter(lambda x, y: True)
    model = mlp()

    def fit(schedule, initial_epoch):
        pruning, callback = kpk.PruningCallback(schedule), BUILDERS[name](tmp_path)
        with quiet_about_data():
            model.fit(
                dataset,
                initial_epoch=initial_epoch,
                epochs=2,
                verbose=0,
                callbacks=[pruning] + [callback] * (name != "PruningCallback"),
            )
        saved = tmp_path.rglob("*.h5")
        return pruning.report, model.get_weights(), [p.stat().st_mtime for p in saved]

    _, before, saved_before = fit(kpk.ConstantSparsity(0.8), 0)
    report, after, saved = fit(kpk.PolynomialDecay(0.0, 0.8), 2)
    assert not report.unmet and report.zeros == 140 and saved == saved_before
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old, new)


def test_sparsity_is_in_the_history(mlp, data):
    schedule = kpk.PolynomialDecay(0.2, 0.8, end_step=kpk.Epochs(2))
    pruning = kpk.PruningCallback(kpk.PrunePolicy(schedule))
    history = mlp().fit(*data, epochs=3, verbose=0, callbacks=[pruning])
    first, *later = history.history["sparsity"]
    assert 0.2 < first < 0.8
    assert later == pytest.approx([140 / 176] * 2)


def test_a_schedule_or_a_number_stands_for_a_policy():
    assert kpk.PruningCallback(0.7).policy == kpk.PrunePolicy(0.7)
    constant = kpk.ConstantSparsity(0.7)
    assert kpk.PruningCallback(constant).policy == kpk.PrunePolicy(constant)


@pytest.mark.each_value
@pytest.mark.parametrize("kind", ["unknown length", "steps_per_epoch", "dataset"])
def test_data_of_every_kind(mlp, data, kind):
    x, y = data

    def batches():
        for start in range(0, 128, 16):
            yield x[start : start + 16], y[start : start + 16]

    signature = (tf.TensorSpec((None, 8)), tf.TensorSpec((None,), tf.int64))
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    model, arguments = mlp(), {"epochs": 4, "verbose": 0}
    if kind == "steps_per_epoch":
        dataset, arguments["steps_per_epoch"] = dataset.repeat(), 5
    if kind == "dataset":
        dataset = tf.data.Dataset.from_tensor_slices(data).batch(16)
    pruning = kpk.PruningCallback(kpk.PrunePolicy(0.8))
    with quiet_about_data():
        history = model.fit(dataset, callbacks=[pruning], **arguments)
    assert [weight.zeros for weight in pruning.report.weights] == [102, 38]
    assert history.history["sparsity"][0] < history.history["sparsity"][-1]


@pytest.mark.quick_in("tf_keras")
def test_one_epoch_of_unknown_length_still_ends_at_the_target(mlp, data, caplog):
    x, y = data
    signature = (tf.TensorSpec((None, 8)), tf.TensorSpec((None,), tf.int64))
    dataset = tf.data.Dataset.from_generator(
        lambda: iter([(x[:64], y[:64]), (x[64:], y[64:])]), output_signature=signature
    )
    pruning = kpk.PruningCallback(kpk.PrunePolicy(0.8))
    with quiet_about_data():
        mlp().fit(dataset, epochs=1, verbose=0, callbacks=[pruning])
    assert [weight.zeros for weight in pruning.report.weights] == [102, 38]
    assert "steps_per_epoch" in caplog.text


def test_initial_epoch_goes_on_where_the_run_was(mlp, data):
    model, policy = mlp(), kpk.PrunePolicy(0.8)
    with pytest.warns(kpk.IncompletePruningWarning):
        half = model.fit(
            *data,
            epochs=2,
            verbose=0,
            callbacks=[
                kpk.PruningCallback(kpk.PrunePolicy(kpk.PolynomialDecay(0, 0.8, 0, 12)))
            ],
        )
    rest = model.fit(
        *data,
        initial_epoch=2,
        epochs=4,
        verbose=0,
        callbacks=[kpk.PruningCallback(policy)],
    )
    sparsities = half.history["sparsity"] + rest.history["sparsity"]
    assert sparsities == sorted(sparsities)
    assert sparsities[-1] == pytest.approx(140 / 176)


def test_a_stop_too_early_warns_with_layer_target_and_reached_value(K, mlp, data):
    class Stop(K.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    stop = Stop()
    pruning = kpk.PruningCallback(kpk.PrunePolicy(0.8))
    with pytest.warns(
        kpk.IncompletePruningWarning, match=r"hidden/kernel is at 0\.\d+ of 0.8"
    ):
        mlp().fit(*data, epochs=9, verbose=0, callbacks=[pruning, stop])
    assert len(pruning.report.unmet) == 2


@pytest.mark.quick_in("tf_keras")
def test_incomplete_pruning_can_be_an_error(mlp, data):
    model = mlp()
    schedule = kpk.PolynomialDecay(0, 0.8, end_step=10_000)
    pruning = kpk.PruningCallback(kpk.PrunePolicy(schedule), on_incomplete="raise")
    with pytest.raises(kpk.IncompletePruningError, match="end_step=10000"):
        model.fit(*data, epochs=1, verbose=0, callbacks=[pruning])
    assert all(v.constraint is None for v in model.trainable_variables)


def test_two_fits_in_a_row(mlp, data):
    model = mlp()
    pruning = kpk.PruningCallback(kpk.PrunePolicy(0.8))
    for _ in range(2):
        history = model.fit(*data, epochs=2, verbose=0, callbacks=[pruning])
        assert [weight.zeros for weight in pruning.report.weights] == [102, 38]
    assert history.history["sparsity"] == pytest.approx([140 / 176] * 2)


@pytest.mark.quick_in("tf_keras")
def test_two_policies_one_after_the_other(mlp, data):
    model = mlp()
    for sparsity, zeros in ((0.5, [64, 24]), (0.8, [102, 38])):
        pruning = kpk.PruningCallback(kpk.PrunePolicy(sparsity))
        model.fit(*data, epochs=2, verbose=0, callbacks=[pruning])
        assert [weight.zeros for weight in pruning.report.weights] == zeros


def test_a_fit_that_was_cut_off_does_not_harm_the_next(K, mlp, data):
    class Stop(K.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model, pruning = mlp(), kpk.PruningCallback(kpk.PrunePolicy(0.8))
    with pytest.raises(KeyboardInterrupt):
        model.fit(*data, verbose=0, callbacks=[pruning, Stop()])
    model.fit(*data, epochs=2, verbose=0, callbacks=[pruning])
    assert [weight.zeros for weight in pruning.report.weights] == [102, 38]
    assert all(v.constraint is None for v in model.trainable_variables)


def test_a_checkpoint_listed_before_ours_is_sparse(K, mlp, data, tmp_path):
    model = mlp()
    checkpoint = K.callbacks.ModelCheckpoint(str(tmp_path / "model.keras"), save_freq=3)
    policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.8))
    model.fit(
        *data, epochs=2, verbose=0, callbacks=[checkpoint, kpk.PruningCallback(policy)]
    )
    loaded = K.models.load_model(tmp_path / "model.keras")
    assert kpk.sparsity_report(loaded).zeros == 140


def test_gzip_size_falls_as_sparsity_rises(mlp, data):
    history = mlp().fit(
        *data,
        epochs=3,
        verbose=0,
        callbacks=[kpk.PruningCallback(0.9), kpk.GzipSizeLogger()],
    )
    sizes = history.history["gzip_bytes"]
    assert sizes[-1] < sizes[0]
    assert all(isinstance(size, int) for size in sizes)


def test_the_best_epoch_at_the_target_is_kept(K, mlp, data, tmp_path):
    """Scores are dictated: the best of all epochs comes before the target."""
    scores = iter([9.0, 9.0, 1.0, 3.0, 2.0])

    class Dictate(K.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_score"] = next(scores)
            kept.append(self.model.get_weights()[0].copy())

    kept = []
    best = kpk.TargetSparsityCheckpoint(
        tmp_path / "best.keras", monitor="val_score", mode="max"
    )
    schedule = kpk.PolynomialDecay(0, 0.8, end_step=kpk.Epochs(2.5))
    model = mlp()
    model.fit(
        *data,
        epochs=5,
        verbose=0,
        callbacks=[Dictate(), kpk.PruningCallback(schedule), best],
    )
    loaded = K.models.load_model(tmp_path / "best.keras")
    assert (loaded.get_weights()[0] == kept[3]).all()
    assert kpk.sparsity_report(loaded).zeros == 140


@pytest.mark.each_value
@pytest.mark.parametrize(("metric", "best"), [("mae", min), ("my_accuracy", max)])
def test_auto_is_what_the_metric_is_and_not_its_output(K, tmp_path, metric, best):
    """Scores are dictated; the output has "acc" in its name."""
    scores = iter([2.0, 1.0, 3.0])
    kept = {}

    def my_accuracy(y_true, y_pred):
        return abs(y_true - y_pred)

    class Dictate(K.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            score = logs[f"acceleration_{metric}"] = next(scores)
            kept[score] = self.model.get_weights()[0].copy()

    inputs = K.Input((3,))
    layers = [K.layers.Dense(1, name=name) for name in ("acceleration", "b")]
    model = K.Model(inputs, [layer(inputs) for layer in layers])
    metrics = {"acceleration": ["mae", my_accuracy], "b": []}
    model.compile("adam", {"acceleration": "mse", "b": "mse"}, metrics=metrics)
    path = tmp_path / f"best{_keras.weights_ending(model)}"
    checkpoint = kpk.TargetSparsityCheckpoint(
        path, monitor=f"acceleration_{metric}", save_weights_only=True
    )
    pruning = kpk.PruningCallback(kpk.ConstantSparsity(0.3))
    x, y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")
    callbacks = [pruning, Dictate(), checkpoint]
    data = {"acceleration": y, "b": y}
    model.fit(x, data, epochs=3, verbose=0, callbacks=callbacks)
    assert checkpoint.best == best(kept)
    model.load_weights(path)
    assert (model.get_weights()[0] == kept[best(kept)]).all()


@pytest.mark.each_value
@pytest.mark.parametrize("ending", [".keras", ".weights.h5"])
def test_a_worse_epoch_after_a_resume_leaves_the_best_of_before(
    K, mlp, data, tmp_path, ending
):
    """Scores are dictated; the best epoch comes before the interruption."""
    path = tmp_path / f"best{ending}"
    scores = iter([3.0, 1.0, 2.0, 1.5, 4.0])
    kept = {}

    class Dictate(K.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            score = logs["val_loss"] = next(scores)
            kept[score] = self.model.get_weights()[0].copy()

    def fit(first, epochs):
        model = mlp()
        best = kpk.TargetSparsityCheckpoint(path, save_weights_only=ending != ".keras")
        model.fit(
            *data,
            initial_epoch=first,
            epochs=epochs,
            verbose=0,
            callbacks=[
                Dictate(),
                kpk.PruningCallback(kpk.ConstantSparsity(0.5)),
                best,
            ],
        )
        if ending == ".keras":
            saved = K.models.load_model(path)
        else:
            saved = mlp()
            saved.load_weights(path)
        return best.best, saved.get_weights()[0]

    fit(0, 2)
    best, saved = fit(2, 4)
    assert best == 1.0
    assert (saved == kept[1.0]).all()
    # A new run replaces the file, whatever was there.
    best, saved = fit(0, 1)
    assert best == 4.0
    assert (saved == kept[4.0]).all()


@pytest.mark.quick_in("tf_keras")
def test_a_resumed_fit_replaces_the_best_of_before_by_a_better_one(mlp, data, tmp_path):
    path = tmp_path / "best.keras"
    best = kpk.TargetSparsityCheckpoint(path, monitor="loss")
    callbacks = [kpk.PruningCallback(kpk.ConstantSparsity(0.5)), best]
    first = mlp().fit(*data, verbose=0, callbacks=callbacks).history["loss"]
    model = mlp()
    model.fit(*data, epochs=20, verbose=0)
    losses = model.fit(
        *data, initial_epoch=1, epochs=3, verbose=0, callbacks=callbacks
    ).history["loss"]
    assert min(losses) < first[0]
    assert best.best == pytest.approx(min(losses))


@pytest.mark.quick_in("tf_keras")
def test_auto_of_what_nobody_knows_says_what_to_pass(K, mlp, data, tmp_path):
    best = kpk.TargetSparsityCheckpoint(tmp_path / "best.keras", monitor="sparsity")
    pruning = kpk.PruningCallback(kpk.ConstantSparsity(0.3))
    with pytest.raises(ValueError, match="a lower 'sparsity'.*Pass mode='max'"):
        mlp().fit(*data, verbose=0, callbacks=[pruning, best])


@pytest.mark.quick_in("tf_keras")
def test_a_checkpoint_without_a_folder_is_in_the_current_one(
    K, mlp, data, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    model, x, y = mlp(), *data
    best = kpk.TargetSparsityCheckpoint("best_{epoch}.keras", monitor="loss")
    pruning = kpk.PruningCallback(kpk.ConstantSparsity(0.5))
    model.fit(x, y, verbose=0, callbacks=[pruning, best])
    assert [path.name for path in tmp_path.iterdir()] == ["best_1.keras"]


def test_a_checkpoint_that_never_saw_the_target_says_so(mlp, data, tmp_path):
    best = kpk.TargetSparsityCheckpoint(tmp_path / "best.keras", monitor="loss")
    pruning = kpk.PruningCallback(kpk.PolynomialDecay(0, 0.8, end_step=10_000))
    with pytest.warns(kpk.IncompletePruningWarning) as caught:
        mlp().fit(*data, verbose=0, callbacks=[pruning, best])
    assert any("nothing was saved" in str(warning.message) for warning in caught)
    assert not (tmp_path / "best.keras").exists()


@pytest.mark.quick_in("keras")
def test_a_checkpoint_is_replaced_whole(mlp, data, tmp_path, monkeypatch):
    path = tmp_path / "best-{epoch:02d}.keras"
    best = kpk.TargetSparsityCheckpoint(path, monitor="loss")
    pruning = kpk.PruningCallback(kpk.ConstantSparsity(0.8))
    model = mlp()
    model.fit(*data, verbose=0, callbacks=[pruning, best])
    before = (tmp_path / "best-01.keras").read_bytes()

    def torn(path, *arguments, **options):
        Path(path).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(model, "save", torn)
    with pytest.raises(OSError, match="no space left"):
        model.fit(*data, verbose=0, callbacks=[pruning, best])
    assert (tmp_path / "best-01.keras").read_bytes() == before
    assert os.listdir(tmp_path) == ["best-01.keras"]


@pytest.mark.quick_in("tf_keras")
def test_a_checkpoint_without_a_pruning_callback_says_so(mlp, data, tmp_path):
    best = kpk.TargetSparsityCheckpoint(tmp_path / "best.keras")
    with pytest.raises(ValueError, match="needs a PruningCallback"):
        mlp().fit(*data, verbose=0, callbacks=[best])


def test_a_backup_is_kept_if_asked_and_goes_at_the_end_if_not(mlp, data, tmp_path):
    folder = tmp_path / "run" / "backup"
    keep = kpk.BackupAndRestore(folder, delete_checkpoint=False)
    mlp().fit(*data, epochs=2, verbose=0, callbacks=[keep])
    assert os.listdir(folder)
    goes = kpk.BackupAndRestore(folder)
    more = mlp().fit(*data, epochs=3, verbose=0, callbacks=[goes])
    assert more.epoch == [2]
    assert not any(path.is_file() for path in folder.rglob("*"))


@pytest.mark.parametrize("K", ["keras"], indirect=True)
def test_a_backup_takes_the_place_of_the_one_before_only(mlp, data, tmp_path):
    (tmp_path / "epoch_of_mine").write_text("stays")
    keep = kpk.BackupAndRestore(tmp_path, delete_checkpoint=False)
    mlp().fit(*data, epochs=2, verbose=0, callbacks=[keep])
    assert sorted(os.listdir(tmp_path)) == ["epoch_2", "epoch_of_mine"]
    goes = kpk.BackupAndRestore(tmp_path)
    mlp().fit(*data, epochs=3, verbose=0, callbacks=[goes])
    assert os.listdir(tmp_path) == ["epoch_of_mine"]


def test_the_latest_backup_is_that_of_the_highest_number(tmp_path):
    for name in ("epoch_9", "epoch_10", "epoch_of_mine"):
        (tmp_path / name).mkdir()
    backups = backup_and_restore._WholeBackup(str(tmp_path), delete_checkpoint=False)
    assert [path.name for path in backups._backups()] == ["epoch_9", "epoch_10"]


@pytest.mark.each_value
def test_each_fit_of_a_script_finds_its_own_backup_in_a_shared_folder(
    K, mlp, data, tmp_path, monkeypatch
):
    """The second `fit` of a script is interrupted, and the script is run again."""
    folder = tmp_path / "backup"

    def fit(epochs, stop_at=None):
        class Stop(K.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None):
                if epoch == stop_at:
                    raise KeyboardInterrupt

        callbacks = [kpk.BackupAndRestore(folder), Stop()]
        return model.fit(*data, epochs=epochs, verbose=0, callbacks=callbacks).epoch

    model = mlp()
    assert fit(2) == [0, 1]
    with pytest.raises(KeyboardInterrupt):
        fit(4, stop_at=3)

    monkeypatch.setattr(backup_and_restore, "_ended", Counter())  # a new process
    model = mlp()
    with pytest.warns(UserWarning, match="there, fit_2, is of a later"):
        assert fit(2) == [0, 1]
    assert fit(4) == [3]
    assert not any(path.is_file() for path in folder.rglob("*"))


def test_a_backup_where_a_file_is_is_refused(mlp, data, tmp_path):
    (tmp_path / "file").write_text("mine")
    backup = kpk.BackupAndRestore(tmp_path / "file")
    with pytest.raises(NotADirectoryError, match="is a file"):
        mlp().fit(*data, verbose=0, callbacks=[backup])
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.each_value
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("rest", [0, 1e9], ids=["each batch", "once"])
def test_a_loss_that_becomes_nan_brings_the_last_good_weights_back(
    K, mlp, data, optimizer, rest, monkeypatch
):
    monkeypatch.setattr(last_good, "_REST", rest)
    model = mlp()
    model.compile(optimizer, model.loss)
    seen = {}

    class Spoil(K.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 0:
                self.note("when training began")

        def on_train_batch_end(self, batch, logs=None):
            self.note(f"after batch {batch + 1} of epoch {self.epochs}")
            if len(seen) == 2 * STEPS + 3:
                model.layers[-1].bias.assign(model.layers[-1].bias * np.nan)

        def note(self, moment):
            weights = [weight.copy() for weight in model.get_weights()]
            seen[moment] = weights, int(model.optimizer.iterations)

        @property
        def epochs(self):
            return (len(seen) - 1) // STEPS + 1

    pruning = kpk.PruningCallback(kpk.ConstantSparsity(0.8))
    with pytest.raises(ValueError, match="batch 3 of epoch 3. The loss is nan") as info:
        model.fit(
            *data, epochs=4, batch_size=16, verbose=0, callbacks=[pruning, Spoil()]
        )
    moment = "after batch 2 of epoch 3" if rest == 0 else "when training began"
    assert f"are restored to their state {moment}." in str(info.value)
    weights, iterations = seen[moment]
    assert all(map(np.array_equal, model.get_weights(), weights))
    assert int(model.optimizer.iterations) == iterations
    assert kpk.sparsity_report(model).zeros == 140
    # Nothing in the optimizer is NaN either, so it can go on.
    history = model.fit(*data, epochs=1, verbose=0, callbacks=[pruning])
    assert np.isfinite(history.history["loss"][0])


def test_weights_that_are_not_finite_are_not_kept(mlp, monkeypatch):
    monkeypatch.setattr(last_good, "_REST", 0)
    model = mlp()
    kept = last_good.LastGood(model)
    kept.save_if_due("before")
    before = model.get_weights()
    broken = [weight.copy() for weight in before]
    broken[-1][0] = np.nan  # a single value
    model.set_weights(broken)
    kept.save_if_due("after")
    assert kept.moment == "before"
    kept.restore()
    assert all(map(np.array_equal, model.get_weights(), before))


@pytest.mark.quick_in("keras")
def test_without_room_for_the_weights_training_goes_on(mlp, data, monkeypatch, caplog):
    def full(*arguments, **options):
        raise OSError("no space left")

    monkeypatch.setattr(np, "save", full)
    pruning = kpk.PruningCallback(kpk.ConstantSparsity(0.8))
    model = mlp()
    model.fit(*data, verbose=0, callbacks=[pruning])
    assert "No snapshot could be saved for a NaN loss (no space left)" in caplog.text
    model.layers[-1].bias.assign(model.layers[-1].bias * np.nan)
    with pytest.raises(ValueError, match="The loss is nan. A lower learning rate"):
        model.fit(*data, verbose=0, callbacks=[pruning])


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: kpk.PruningCallback("x"), TypeError, "PrunePolicy"),
        (lambda: kpk.PruningCallback(80), ValueError, "write 0.8"),
        (
            lambda: kpk.PruningCallback(0.8, on_incomplete="log"),
            ValueError,
            "on_incomplete='log'",
        ),
    ],
)
def test_bad_values_are_named(build, error, message):
    with pytest.raises(error, match=message):
        build()


@pytest.mark.each_value
@pytest.mark.parametrize(
    "policy",
    [
        kpk.PrunePolicy(0.8, [kpk.Rule("nowhere", None)]),
        kpk.PrunePolicy(0.8, structure=kpk.Block((1, 99))),
        kpk.PrunePolicy(0.5, structure=kpk.NofM(2, 5)),
    ],
)
def test_a_policy_that_does_not_fit_stops_fit_before_a_step(mlp, data, policy):
    model = mlp()
    before = model.get_weights()
    with pytest.raises(ValueError):
        model.fit(*data, verbose=0, callbacks=[kpk.PruningCallback(policy)])
    assert all(map(np.array_equal, before, model.get_weights()))


@contextlib.contextmanager
def quiet_about_data():
    """Silences Keras on a dataset that ends, which is what is tested here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*(ran out of data|shuffle=True).*")
        yield
