"""What people train is pruned, saved, exported and compared, in both worlds.

`tests/tools/zoo.py` does the same with all of keras.applications.
"""

import re

import pytest
import zoo
from marks import slow
from zoo_applications import application, application_names
from zoo_checks import CHECKS, OURS, Subject, run
from zoo_models import PEOPLE_TRAIN
from zoo_table import summary

SMALL = {
    "MobileNet": application("MobileNet", alpha=0.25),
    "MobileNetV2": application("MobileNetV2", alpha=0.35),
}
# The converter cannot calibrate loops; an LSTM of tf_keras is an operator of its own.
LOOPS = {
    ("keras", "lstm_text"),
    ("keras", "gru_text"),
    ("keras", "bidirectional_text"),
    ("tf_keras", "gru_text"),
}


NAMES = [*PEOPLE_TRAIN, *SMALL]
QUICK = ("two_in_two_out", "subclassed")


@pytest.mark.each_value
@pytest.mark.parametrize("name", [n if n in QUICK else slow(n) for n in NAMES])
def test_what_people_train_passes(K, name):
    subject = Subject(K, (PEOPLE_TRAIN | SMALL)[name])

    checks = [check for check in OURS if check != "dynamic" or name not in SMALL]
    results = {check: run(OURS[check], subject) for check in checks}

    failed = {c: r["note"] for c, r in results.items() if r["status"] == "failed"}
    skipped = {c: r["note"] for c, r in results.items() if r["status"] == "skipped"}
    assert failed == {}
    expected = {"int8"} if (K.__name__, name) in LOOPS else set()
    expected |= {"half files"} if "int8" in expected else set()
    if name == "subclassed":
        expected = {"half out", "half files", "zeros out"}
    assert set(skipped) == expected
    reason = "cannot calibrate loops|whose layers are called by code|could leave"
    assert all(re.search(reason, note) for note in skipped.values())


def test_applications_are_found(K):
    assert {"MobileNetV2", "ResNet50", "NASNetLarge"} < set(application_names(K))


def test_a_process_that_dies_is_a_failure(monkeypatch):
    monkeypatch.setattr(zoo.sys, "executable", "false")
    record = zoo.check_apart("unet", "keras", minutes=1)
    assert record["checks"] == {
        "build": {"status": "failed", "note": "the process ended with 1"}
    }


def test_results_that_are_there_are_not_made_again():
    options = zoo.arguments(["--only", "unet", "ResNetRS50"])
    assert list(zoo.todo(options, [{"model": "unet", "world": "keras"}])) == [
        ("unet", "tf_keras"),
        ("ResNetRS50", "tf_keras"),  # Keras 3 has none.
    ]


def test_tables_count_and_give_reasons():
    passed = {check: {"status": "passed", "note": ""} for check in CHECKS["keras"]}
    loop = {"status": "skipped", "note": "a loop"}
    lines = [
        {"model": "unet", "world": "keras", "checks": passed},
        {"model": "gru_text", "world": "keras", "checks": {**passed, "int8": loop}},
        {
            "model": "Xception",
            "world": "keras",
            "checks": {"build": {"status": "failed", "note": "too small"}},
        },
    ]
    text = summary(lines)
    rows = [" ".join(line.split()) for line in text.splitlines()]
    assert "gru_text yes yes yes yes skip yes yes yes yes yes" in rows
    assert "Xception - - - - - - - - - -" in rows
    assert "int8 1 1 0 0" in rows
    assert "build 0 0 1 0" in rows
    assert "keras, int8, skipped: a loop" in rows
    assert max(map(len, text.splitlines())) <= 80
