"""Which way a metric points: by its object, then by the words of its own name."""

import inspect

import keras
import numpy as np
import pytest
import tf_keras

from keras_prune_kit import _keras

# Means and sums of anything, and what others are made from.
NEITHER = {
    *("Metric", "Mean", "Sum", "MeanMetricWrapper", "MeanTensor"),
    *("SumOverBatchSize", "SumOverBatchSizeMetricWrapper"),
}
RISING = {
    *("Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "TopKCategoricalAccuracy"),
    *("SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy", "AUC"),
    *("Precision", "Recall", "PrecisionAtRecall", "RecallAtPrecision"),
    *("SensitivityAtSpecificity", "SpecificityAtSensitivity", "TruePositives"),
    *("TrueNegatives", "FBetaScore", "F1Score", "IoU", "BinaryIoU", "MeanIoU"),
    *("OneHotIoU", "OneHotMeanIoU", "R2Score", "CosineSimilarity"),
    *("PearsonCorrelation", "ConcordanceCorrelation"),
}
ARGUMENTS = {
    "IoU": {"num_classes": 2, "target_class_ids": [1]},
    "BinaryIoU": {"target_class_ids": [1]},
    "MeanIoU": {"num_classes": 2},
    "OneHotIoU": {"num_classes": 2, "target_class_ids": [1]},
    "OneHotMeanIoU": {"num_classes": 2},
    "MeanRelativeError": {"normalizer": [1.0]},
    **{
        name: {argument: 0.5}
        for name, argument in (
            ("PrecisionAtRecall", "recall"),
            ("RecallAtPrecision", "precision"),
            ("SensitivityAtSpecificity", "specificity"),
            ("SpecificityAtSensitivity", "sensitivity"),
        )
    },
}
KERAS_METRICS = [
    (K, name)
    for K in (keras, tf_keras)
    for name, item in vars(K.metrics).items()
    if inspect.isclass(item) and issubclass(item, K.metrics.Metric)
    if name == item.__name__ and name not in NEITHER
]


class Logs:
    """A model as far as its metrics are concerned."""

    output_names = ("output",)

    def __init__(self, *metrics):
        self.metrics = metrics


def two_outputs(K, first, metrics, **options):
    """An evaluated model with outputs `first` and `speed`."""
    inputs = K.Input((4,))
    outputs = [K.layers.Dense(2, name=name)(inputs) for name in (first, "speed")]
    model = K.Model(inputs, outputs)
    model.compile("adam", {first: "mse", "speed": "mse"}, metrics=metrics, **options)
    x, y = np.ones((8, 4), "float32"), np.eye(2, dtype="float32")[[0, 1] * 4]
    logs = model.evaluate(x, {first: y, "speed": y}, return_dict=True, verbose=0)
    return model, logs


@pytest.mark.parametrize(
    ("K", "name"),
    KERAS_METRICS,
    ids=[f"{K.__name__}-{name}" for K, name in KERAS_METRICS],
)
def test_every_metric_of_keras_says_it_whatever_it_is_called(K, name):
    kind = getattr(K.metrics, name)
    own = type("Own", (kind,), {})
    wanted = "max" if name in RISING else "min"
    for metric in (kind, own):
        model = Logs(metric(**ARGUMENTS.get(name, {}), name="it"))
        assert _keras.metric_direction(model, "it") == wanted
        assert _keras.metric_direction(model, "val_it") == wanted


def test_losses_as_metrics_are_to_be_minimized(K):
    """The loss cosine_similarity is the negative of the metric."""

    class Own(K.losses.Loss):
        def call(self, y_true, y_pred):
            return y_pred - y_true

    for loss in (K.losses.cosine_similarity, K.losses.Huber(), Own()):
        model = Logs(K.metrics.MeanMetricWrapper(loss, name="accuracy"))
        assert _keras.metric_direction(model, "accuracy") == "min"


@pytest.mark.each_value
@pytest.mark.parametrize("first", ["acceleration", "auction", "recall_time", "loss"])
def test_the_name_of_an_output_says_nothing(K, first):
    def within(y_true, y_pred):
        return abs(y_true - y_pred) < 1

    def my_accuracy(y_true, y_pred):
        return abs(y_true - y_pred) < 1

    model, logs = two_outputs(
        K,
        first,
        {
            first: ["mae", within, my_accuracy, "cosine_similarity"],
            "speed": [
                K.metrics.F1Score(),
                "accuracy",
                K.metrics.FalsePositives(name="false_positives"),
            ],
        },
        weighted_metrics={first: ["mae"], "speed": []},
    )
    wanted = {
        f"{first}_mae": "min",
        f"{first}_within": None,
        f"{first}_my_accuracy": "max",
        f"{first}_cosine_similarity": "max",
        f"{first}_weighted_mae": "min",
        "speed_f1_score": "max",
        "speed_accuracy": "max",
        "speed_false_positives": "min",
        f"{first}_loss": "min",
        "speed_loss": "min",
        "loss": "min",
    }
    assert set(logs) == set(wanted)
    assert {n: _keras.metric_direction(model, n) for n in logs} == wanted
    assert {n: _keras.metric_direction(model, f"val_{n}") for n in logs} == wanted


def test_metrics_stand_in_the_order_of_compile(K):
    """Keras 3 sorts its logs by the alphabet."""
    model, logs = two_outputs(K, "gloss", {"gloss": ["mse", "mae"], "speed": ["mae"]})
    names = _keras.metric_names(model, logs)
    assert names == ("gloss_mse", "gloss_mae", "speed_mae")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        *[(name, "max") for name in ("my_accuracy", "val_acc", "top5_acc", "auc_1")],
        *[(name, "max") for name in ("MyAccuracy", "f1_macro", "R2", "mean_iou")],
        *[(name, "min") for name in ("loss", "val_loss", "my_loss", "MAE", "rmse_2")],
        *[(name, "min") for name in ("recall_time_mae", "error_rate", "accuracy_loss")],
        *[(name, None) for name in ("within", "acceleration", "vacuum", "auction")],
        *[(name, None) for name in ("lossless", "brier_score", "erroneous", "maestro")],
    ],
)
def test_of_other_metrics_whole_words_decide(name, wanted):
    assert _keras.metric_direction(Logs(), name) == wanted


def test_what_nobody_knows_says_what_to_pass():
    assert _keras.known_direction("mae", "min") == "min"
    with pytest.raises(ValueError, match="a lower 'within'.*Pass mode='max'"):
        _keras.known_direction("within", None)
