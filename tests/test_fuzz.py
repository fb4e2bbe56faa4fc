"""Bad input by the hundreds; `tests/tools/fuzz.py` does it by the thousands."""

import time

import fuzz
import pytest
from fuzzing import cases, files, targets

import keras_prune_kit as kpk

CASES, SEED = 250, 7
# Each takes seconds; the benchmark has them.
SLOW = ("compress", "CompressionTuner", cases.COMMAND_LINE)
COUNTS = {name: n for name, n in cases.counts(CASES).items() if name not in SLOW}


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.filterwarnings("ignore")
def test_bad_input_is_refused_by_name_or_changes_nothing(name):
    drawn = cases.cases(name, COUNTS[name], SEED)
    outcomes = [cases.run(name, number, case) for number, case in enumerate(drawn)]
    assert [outcome for outcome in outcomes if outcome.is_failure] == []


def test_every_argument_that_is_needed_has_a_valid_value():
    missing = {
        name: t.missing() for name, t in targets.targets().items() if t.missing()
    }
    assert not missing, "Add them to VALID in tests/tools/fuzzing/targets.py."


@pytest.mark.parametrize("name", sorted(set(kpk.__all__) - targets.RESULTS - {"tfmot"}))
def test_everything_public_that_takes_arguments_is_a_target(name):
    item = getattr(kpk, name)
    is_error = isinstance(item, type) and issubclass(item, BaseException)
    takes_none = name in ("GzipSizeLogger", "KeepZeros", "Unstructured")
    assert (name in targets.targets()) != (is_error or takes_none)


@pytest.mark.filterwarnings("ignore:.*HDF5 file")
@pytest.mark.parametrize("world", cases.WORLDS)
def test_valid_arguments_are_accepted(world):
    """Else a case would be refused for something that is not its bad value."""
    f = cases.of_world(world)
    for name in ("Rule", "sparsity_report", "allocate", "TFLiteModel.predict"):
        target = targets.targets()[name]
        target.get(f)(**target.valid(f, None))
    for name, (known, read) in files.READERS.items():
        if name != "tfmot.load(path)" or world == "tf_keras":
            for file in known:
                read(f, f.path(file))


def test_a_crash_and_a_hang_are_told_and_the_rest_goes_on():
    worker = fuzz.Worker("misbehaving_cases", limit_s=2)
    start = time.monotonic()
    found = [worker.run(("it", 3, 0), number) for number in range(3)]
    worker.stop()
    assert found == [
        ("crash", "it 'crash'", "exit code -6"),
        ("hang", "it 'hang'", "exit code None"),
        ("accepted", "it 'fine'", ""),
    ]
    assert time.monotonic() - start < 60
    told = fuzz.summary([("it", *outcome) for outcome in found])
    assert (told["cases"], told["crashes"], told["hangs"]) == (3, 1, 1)
    assert [failure["kind"] for failure in told["failures"]] == ["crash", "hang"]
