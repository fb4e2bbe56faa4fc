"""Recovery: a dense model's knowledge as labels, and Keras' own Distiller."""

import keras
import models
import numpy as np
import pytest
import tensorflow as tf

import keras_prune_kit as kpk
from keras_prune_kit._keras import are_probabilities


def teacher_of(K, activation="softmax", units=3):
    model = K.Sequential(
        [
            K.layers.Input((8,)),
            K.layers.Dense(16, activation="relu"),
            K.layers.Dense(units, activation=activation),
        ]
    )
    return model


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("weight", [0, 0.3, 1])
def test_targets_by_hand(K, data, weight, temperature):
    x, y = data
    teacher = teacher_of(K, activation=None)
    logits = teacher.predict(x, verbose=0)
    expected = weight * softmax(logits / temperature) + (1 - weight) * np.eye(3)[y]
    same_x, targets = kpk.soft_targets(
        teacher, data, weight=weight, temperature=temperature
    )
    assert same_x is x
    assert targets == pytest.approx(expected, abs=1e-5)
    assert targets.dtype == np.float32


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_probabilities_and_logits_say_the_same(K, data, temperature):
    logits, probabilities = teacher_of(K, activation=None), teacher_of(K)
    probabilities.set_weights(logits.get_weights())
    one, other = (
        kpk.soft_targets(teacher, data, temperature=temperature)[1]
        for teacher in (logits, probabilities)
    )
    assert one == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize("form", ["numbers", "column", "one-hot", "floats"])
def test_labels_of_every_form(K, data, form):
    x, y = data
    forms = {
        "numbers": y,
        "column": y[:, None],
        "one-hot": np.eye(3)[y],
        "floats": y.astype("float32"),
    }
    teacher = teacher_of(K)
    expected = kpk.soft_targets(teacher, data)[1]
    assert np.array_equal(kpk.soft_targets(teacher, (x, forms[form]))[1], expected)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_a_binary_classifier(K, data, activation):
    x, y = data
    teacher = teacher_of(K, activation, units=1)
    outputs = teacher.predict(x, verbose=0)
    if activation is None:
        outputs = 1 / (1 + np.exp(-outputs))
    for temperature in (1, 2):
        odds = (outputs / (1 - outputs)) ** (1 / temperature)
        expected = 0.5 * odds / (1 + odds) + 0.5 * (y[:, None] > 0)
        _, targets = kpk.soft_targets(teacher, (x, y > 0), temperature=temperature)
        assert targets == pytest.approx(expected, abs=1e-5)


def test_a_target_a_pixel(K):
    teacher = K.Sequential(
        [K.layers.Input((4, 4, 2)), K.layers.Conv2D(3, 1, activation="softmax")]
    )
    rng = np.random.default_rng(0)
    x, y = rng.random((5, 4, 4, 2), "float32"), rng.integers(0, 3, (5, 4, 4))
    _, targets = kpk.soft_targets(teacher, (x, y))
    expected = (teacher.predict(x, verbose=0) + np.eye(3)[y]) / 2
    assert targets == pytest.approx(expected, abs=1e-6)


def test_a_dataset_is_mixed_batch_by_batch_after_what_augments_it(K, data):
    x, y = data
    weights = np.arange(128, dtype="float32")
    teacher = teacher_of(K)
    dataset = tf.data.Dataset.from_tensor_slices((x, y, weights)).batch(16)
    noisy = dataset.map(lambda x, y, w: (x + 1, y, w))
    mixed = list(kpk.soft_targets(teacher, noisy, weight=0.7).as_numpy_iterator())
    expected = kpk.soft_targets(teacher, (x + 1, y), weight=0.7)[1]
    assert len(mixed) == 8
    assert np.concatenate([batch[1] for batch in mixed]) == pytest.approx(
        expected, abs=1e-5
    )
    assert np.array_equal(np.concatenate([batch[2] for batch in mixed]), weights)


@pytest.mark.each_value
@pytest.mark.parametrize("kind", ["arrays", "dataset"])
def test_a_pruned_model_learns_from_its_dense_self(K, mlp, data, kind):
    model = mlp()
    model.fit(*data, epochs=2, verbose=0)
    teacher = K.models.clone_model(model)
    teacher.set_weights(model.get_weights())
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    if kind == "dataset":
        dataset = tf.data.Dataset.from_tensor_slices(data).batch(32)
        arguments = {"x": kpk.soft_targets(teacher, dataset), "shuffle": False}
    else:
        arguments = dict(zip("xy", kpk.soft_targets(teacher, data), strict=True))
    before = teacher.get_weights()
    pruning = kpk.PruningCallback(0.8)
    history = model.fit(**arguments, epochs=8, verbose=0, callbacks=[pruning])
    assert kpk.sparsity_report(model).zeros == 140
    assert all(map(np.array_equal, teacher.get_weights(), before))
    assert history.history["accuracy"][-1] > 0.4


@pytest.mark.quick_in("tf_keras")
def test_targets_are_data_for_compress_too(K, mlp, data):
    model = mlp()
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    x, y = kpk.soft_targets(model, data)
    report = kpk.compress(
        model,
        (x, y),
        validation_data=(x, np.eye(3)[data[1]]),
        quantization="dynamic",
        epochs=2,
        verbose=0,
    )
    assert report.sparsity_report.zeros == 140


def test_wrong_values_are_named_before_training(K, data):
    x, y = data
    teacher = teacher_of(K)
    for arguments, message in [
        ({"weight": 1.5}, "weight is a number of 0 to 1.*1.5"),
        ({"weight": "half"}, "weight='half'"),
        ({"weight": True}, "weight=True"),
        ({"temperature": 0}, "temperature=0"),
    ]:
        with pytest.raises(ValueError, match=message):
            kpk.soft_targets(teacher, data, **arguments)
    for labels in (y + 1, np.eye(4)[y], np.eye(3)[y] * 2, y + 0.5, y[:5], -y):
        with pytest.raises(ValueError, match="the 3 classes of the teacher. Received"):
            kpk.soft_targets(teacher, (x, labels))
    with pytest.raises(ValueError, match="the 2 classes of the teacher"):
        kpk.soft_targets(teacher_of(K, "sigmoid", units=1), (x, y))


def test_teachers_that_are_none(K, data):
    with pytest.raises(ValueError, match="2 outputs"):
        x = [np.zeros((9, 8)), np.zeros((9, 4))]
        kpk.soft_targets(models.two_in_two_out(K), (x, np.zeros(9, int)))
    flat = K.Sequential([K.layers.Input((8,)), K.layers.Reshape((8,))])
    with pytest.raises(ValueError, match="Labels must be class numbers"):
        kpk.soft_targets(flat, (data[0], data[0]))  # A regression.
    broken = teacher_of(K)
    broken.set_weights([np.full_like(w, np.nan) for w in broken.get_weights()])
    with pytest.raises(ValueError, match="NaN"):
        kpk.soft_targets(broken, data)
    with pytest.raises(TypeError, match="A model of keras"):
        kpk.soft_targets(["teacher"], data)


def test_data_of_another_kind(K, data):
    teacher = teacher_of(K)
    single = tf.data.Dataset.from_tensor_slices(data)
    for wrong in (data[0], list(data), (data[0],), single, single.map(lambda x, y: x)):
        with pytest.raises(TypeError, match="tf.data.Dataset of such batches"):
            kpk.soft_targets(teacher, wrong)


@pytest.fixture
def distiller(data):
    """Keras 3 alone has a Distiller."""
    pytest.importorskip("keras.distillation", reason="new in Keras 3.12")
    teacher, student = teacher_of(keras), teacher_of(keras)
    model = keras.distillation.Distiller(
        teacher, student, keras.distillation.FeatureDistillation("kl_divergence")
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_callbacks_prune_the_student_and_never_the_teacher(distiller, data, tmp_path):
    before = distiller.teacher.get_weights()
    best = kpk.TargetSparsityCheckpoint(tmp_path / "best.keras", monitor="loss")
    pruning = kpk.PruningCallback(kpk.PrunePolicy(0.8, [kpk.Rule("dense_?.*", 0.8)]))
    distiller.fit(*data, epochs=1, verbose=0)  # Traced before there are masks.
    history = distiller.fit(
        *data,
        epochs=3,
        verbose=0,
        callbacks=[
            pruning,
            best,
            kpk.GzipSizeLogger(),
            kpk.SparsitySummaries(tmp_path / "logs"),
        ],
    )
    student = distiller.student
    assert [weight.zeros for weight in pruning.report.weights] == [102, 38]
    assert kpk.sparsity_report(student) == kpk.sparsity_report(distiller)
    assert all(map(np.array_equal, distiller.teacher.get_weights(), before))
    assert history.history["sparsity"][-1] == pytest.approx(140 / 176)
    assert history.history["gzip_bytes"][-1] == kpk.gzip_bytes(student)
    loaded = keras.models.load_model(tmp_path / "best.keras", compile=False)
    assert kpk.sparsity_report(loaded).zeros == 140
    assert loaded.count_params() == student.count_params()
    assert all(v.constraint is None for v in student.trainable_variables)


def test_the_student_can_be_clustered(distiller, data):
    before = distiller.teacher.get_weights()
    clustering = kpk.ClusteringCallback(4)
    distiller.fit(*data, epochs=1, verbose=0, callbacks=[clustering])
    student = distiller.student
    assert [np.unique(w).size for w in student.get_weights()[::2]] == [4, 4]
    assert len(clustering.report.weights) == 2
    assert all(map(np.array_equal, distiller.teacher.get_weights(), before))


@pytest.mark.quick_in("tf_keras")
def test_the_learning_rate_of_the_dense_training_can_be_rewound(K, mlp, data):
    """Renda et al. 2020, with what Keras has: examples/08_recovery.py."""
    dense_rates = [0.02, 0.01, 0.004, 0.001]
    model = mlp()
    model.fit(
        *data,
        epochs=4,
        verbose=0,
        callbacks=[K.callbacks.LearningRateScheduler(lambda e: dense_rates[e])],
    )
    last = dense_rates[-2:]
    rewinding = K.callbacks.LearningRateScheduler(lambda epoch: last[epoch])
    pruning = kpk.PruningCallback(0.8)
    history = model.fit(*data, epochs=2, verbose=0, callbacks=[rewinding, pruning])
    key = "learning_rate" if K is keras else "lr"
    assert history.history[key] == pytest.approx(last)
    assert kpk.sparsity_report(model).zeros == 140


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([[0.2, 0.8], [1.0, 0.0]], True),
        ([[0.3], [1.0]], True),
        ([[-0.2, 0.6, 0.6]], False),  # They add up to one, but one is below zero.
        ([[1.5], [0.5]], False),
        ([[0.2, 0.2]], False),
    ],
)
def test_logits_are_told_from_probabilities(rows, expected):
    assert are_probabilities(np.array(rows)) is expected
