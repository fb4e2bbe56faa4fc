"""The front of a search, from folders as a search leaves them."""

import json
import math

import keras
import keras_tuner
import pytest

import keras_prune_kit as kpk

BASELINE = {"metric": "accuracy", "score": 0.9, "gzip_bytes": 1024}
EVIL = "</script><script>alert(1)</script>"

# Accuracy and gzipped bytes of each trial.
TRIALS = {
    "0": (0.90, 512),
    "1": (0.88, 256),
    "2": (0.87, 300),  # beaten by 1
    "3": (0.90, 600),  # beaten by 0
    "4": (0.95, 800),
    "5": (0.88, 256),  # the same as 1
    "6": (0.10, 64),
}


def write_trial(folder, name, accuracy, size, status="COMPLETED", baseline=BASELINE):
    path = folder / f"trial_{name}"
    path.mkdir()
    measures = {
        "gzip_bytes": float(size),
        "file_bytes": 2.0 * size,
        "sparsity": 0.5,
        "tflite_accuracy": accuracy,
        "latency_ms": 0.1,
    }
    record = {
        "measures": measures,
        "baseline": baseline,
        "max_accuracy_drop": 0.02,
        "hyperparameters": {"quantization": EVIL, "ramp": 0.5},
    }
    (path / "compression.json").write_text(json.dumps(record))
    (path / "trial.json").write_text(json.dumps({"status": status}))


@pytest.fixture
def folder(tmp_path):
    for name, (accuracy, size) in TRIALS.items():
        write_trial(tmp_path, name, accuracy, size)
    return tmp_path


@pytest.fixture
def front(folder):
    return kpk.pareto_front(folder)


def test_the_front_is_what_nothing_beats(front):
    assert [trial.name for trial in front.trials] == list(TRIALS)
    assert [point.name for point in front.points] == ["6", "1", "0", "4"]


def test_a_trial_that_was_cut_does_not_count(folder):
    write_trial(folder, "7", 0.99, 10, status="RUNNING")
    (folder / "trial_8").mkdir()
    assert len(kpk.pareto_front(folder).trials) == len(TRIALS)


def test_hypervolume_is_the_area_from_the_reference_point(front):
    # From the smallest on: accuracy that it adds, times halvings from 1024 bytes.
    area = 0.1 * 4 + 0.78 * 2 + 0.02 * 1 + 0.05 * (10 - math.log2(800))
    assert front.hypervolume() == pytest.approx(area)
    part = 0.03 * 1 + 0.02 * 0
    assert front.hypervolume(min_accuracy=0.85, max_bytes=512) == pytest.approx(part)
    assert front.hypervolume(min_accuracy=0.99) == 0


def test_picking_a_trial(front):
    assert front.smallest_within().name == "1"
    assert front.smallest_within(accuracy_drop=0.0).name == "0"
    assert front.smallest_within(accuracy_drop=0.9).name == "6"
    assert front.best_under(max_bytes=700).name == "0"
    assert front.best_under(max_bytes=256).name == "1"
    with pytest.raises(ValueError, match="at most 63 bytes.*The smallest has 64"):
        front.best_under(max_bytes=63)
    with pytest.raises(ValueError, match=r"within -0\.2 of .*The best has 0\.9500"):
        front.smallest_within(accuracy_drop=-0.2)


def test_the_table_fits_a_terminal(front):
    lines = str(front).splitlines()
    assert "4 of 7 trials" in lines[0]
    assert max(map(len, lines)) <= 80
    assert "4.0x" in str(front)


def test_plain_data(front):
    data = json.loads(json.dumps(front.to_dict()))
    assert data["front"] == ["6", "1", "0", "4"]
    assert data["trials"][4]["measures"]["gzip_bytes"] == 800


def test_a_picture_and_a_page(front, tmp_path):
    front.plot(tmp_path / "front.png")
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    front.to_html(tmp_path / "front.html")
    body = (tmp_path / "front.html").read_text("utf-8").partition("</head>")[2]
    assert EVIL not in body
    assert "ramp: 0.5" in body  # what a point says when the mouse is there
    assert "<td>0.9500</td>" in body and "<td>800<" in body


ERRORS = {
    "0": (0.10, 512),
    "1": (0.12, 256),
    "2": (0.13, 300),  # beaten by 1
    "3": (0.10, 600),  # beaten by 0
    "4": (0.05, 800),
    "5": (0.102, 400),
    "6": (0.90, 64),
}


@pytest.fixture
def errors(tmp_path):
    """The front of a regression: what each file has is an error."""
    baseline = {**BASELINE, "metric": "mae", "mode": "min", "score": 0.1}
    for name, (error, size) in ERRORS.items():
        write_trial(tmp_path, name, error, size, baseline=baseline)
    return kpk.pareto_front(tmp_path)


def test_the_front_of_an_error_is_of_the_least(errors):
    assert [point.name for point in errors.points] == ["6", "1", "5", "0", "4"]
    assert errors.to_dict()["mode"] == "min"


def test_a_trial_of_a_regression_may_have_so_much_more_error(errors):
    assert errors.smallest_within().name == "5"  # 2 % more than 0.1 is 0.102
    assert errors.smallest_within(accuracy_drop=0.0).name == "0"
    assert errors.smallest_within(accuracy_drop=0.2).name == "1"
    assert errors.smallest_within(accuracy_drop=8.0).name == "6"
    assert errors.best_under(max_bytes=700).name == "0"
    with pytest.raises(ValueError, match=r"within -60 % of the mae.*best has 0\.0500"):
        errors.smallest_within(accuracy_drop=-0.6)


def test_the_hypervolume_of_an_error_begins_at_twice_the_baselines(errors):
    area = 0.08 * 2 + 0.018 * (10 - math.log2(400)) + 0.002 * 1
    area += 0.05 * (10 - math.log2(800))
    assert errors.hypervolume() == pytest.approx(area)
    part = 0.002 * 1 + 0.018 * (9 - math.log2(400))
    found = errors.hypervolume(min_accuracy=0.122, max_bytes=512)
    assert found == pytest.approx(part)


def test_the_picture_and_the_page_of_a_regression_say_so(errors, tmp_path):
    errors.plot(tmp_path / "front.png")
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
    errors.to_html(tmp_path / "front.html")
    text = (tmp_path / "front.html").read_text("utf-8")
    page = " ".join(text.partition("</head>")[2].split())
    assert "the baseline, mae 0.1000" in page
    assert "the dotted one is the limit, plus 2 %" in page
    assert "mae times halvings" in page and "from mae 0.2" in page
    assert "Mae (less is better)" in page and "ccuracy" not in page.replace(
        "tflite_accuracy", ""
    )


def test_a_folder_judged_by_two_metrics_is_no_search(folder):
    by_error = {**BASELINE, "metric": "mae", "mode": "min"}
    write_trial(folder, "7", 0.1, 10, baseline=by_error)
    with pytest.raises(ValueError, match=r"accuracy \(max\) and mae \(min\)"):
        kpk.pareto_front(folder)


# Trials of hypermodels that are the user's own, as KerasTuner leaves them.

OWN = keras_tuner.Objective("tflite_accuracy", "max")


class Own(keras_tuner.HyperModel):
    """Trials with given measures, in the order in which they start."""

    def __init__(self, *names):
        super().__init__()
        self.names = (*names, "tflite_accuracy", "gzip_bytes")
        self.left = iter([(0.98, 900), (0.97, 400), (0.9, 300), (0.96, 500)])

    def build(self, hp):
        hp.Int("units", 1, 100)
        return keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])

    def fit(self, hp, model, *args, **kwargs):
        accuracy, size = next(self.left)
        told = {"gzip_bytes": size, "tflite_accuracy": accuracy, "score": -accuracy}
        return {name: told.get(name, 0.0) for name in self.names}


def own_search(folder, objective, *names):
    tuner = keras_tuner.RandomSearch(
        Own(*names), objective, max_trials=4, directory=folder, seed=0
    )
    tuner.search(verbose=0)
    return tuner


def test_a_hypermodel_of_ones_own_has_a_front(tmp_path):
    tuner = own_search(tmp_path, keras_tuner.Objective("score", "min"), "score")
    front = kpk.pareto_front(tuner, objective=OWN)
    found = [(point.accuracy, point.gzip_bytes) for point in front.points]
    assert found == [(0.9, 300), (0.97, 400), (0.98, 900)]
    # Against the most accurate one: there is no baseline.
    text = " ".join(str(front).split())
    assert text.startswith("Pareto front: 3 of 4 trials; best trial 0.9800, 900 B ")
    assert "trial tflite_accuracy gzipped ratio ──" in text
    assert "0.9700 400 2.2x" in text
    assert front.smallest_within().gzip_bytes == 400
    assert front.smallest_within(accuracy_drop=0.0).gzip_bytes == 900
    assert front.best_under(max_bytes=350).hyperparameters.keys() == {"units"}
    assert kpk.pareto_front(tuner.project_dir, objective=OWN) == front
    front.plot(tmp_path / "front.png")
    front.to_html(tmp_path / "front.html")
    page = " ".join((tmp_path / "front.html").read_text("utf-8").split())
    assert "The dashed line is the best trial, tflite_accuracy 0.9800 at 900" in page


def test_the_metric_of_two_objectives_is_known(tmp_path):
    both = [OWN, keras_tuner.Objective("gzip_bytes", "min")]
    front = kpk.pareto_front(own_search(tmp_path, both, "multi_objective"))
    assert (front.metric, front.mode, len(front.points)) == (
        "tflite_accuracy",
        "max",
        3,
    )


def test_a_metric_that_is_not_named_or_was_not_recorded(tmp_path):
    tuner = own_search(tmp_path, keras_tuner.Objective("score", "min"), "score")
    with pytest.raises(ValueError, match="the metric must be named.*'max'"):
        kpk.pareto_front(tuner)
    with pytest.raises(ValueError, match="Did you mean 'tflite_accuracy'"):
        wrong = keras_tuner.Objective("tflite_acuracy", "max")
        kpk.pareto_front(tuner, objective=wrong)
    with pytest.raises(TypeError, match="objective is the metric"):
        kpk.pareto_front(tuner, objective="tflite_accuracy")


def test_one_trial_is_a_front_too(tmp_path):
    write_trial(tmp_path, "0", 0.9, 1024)
    front = kpk.pareto_front(tmp_path)
    front.plot(tmp_path / "front.png")
    assert front.hypervolume() == 0
    assert len(front.points) == 1


def test_a_folder_without_trials(tmp_path):
    with pytest.raises(ValueError, match="no finished trial"):
        kpk.pareto_front(tmp_path)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        kpk.pareto_front(tmp_path / "none")
