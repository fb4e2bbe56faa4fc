"""What an object reads as: the call that makes it."""

import inspect

import models
import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit import callbacks, criteria, schedules, structures
from keras_prune_kit._keras.stage_progress import StageProgress
from keras_prune_kit._tools.typed import written

TYPED = [
    "PruningCallback(PrunePolicy(0.8))",
    "PruningCallback(PrunePolicy(0.8), on_incomplete='raise')",
    "ClusteringCallback()",
    "ClusteringCallback(8)",
    "ClusteringCallback(match='conv.*')",
    "GzipSizeLogger()",
    "BackupAndRestore('run/backup')",
    "BackupAndRestore('run/backup', delete_checkpoint=False)",
    "SparsitySummaries('logs')",
    "TargetSparsityCheckpoint('best.keras')",
    "TargetSparsityCheckpoint('best.keras', 'val_accuracy', mode='max')",
    "StageProgress()",
    "PrunePolicy(0.8)",
    "PrunePolicy(PolynomialDecay(0.2, 0.8))",
    "PrunePolicy(ConstantSparsity(0.8, Epochs(2)))",
    "PrunePolicy(0.8, [Rule('head', None), Rule('conv.*', 0.5)])",
    "PrunePolicy(0.8, criterion=lamp, scope='global', include_frozen=True)",
    "PrunePolicy(0.8, criterion=random_scores(3))",
    "PrunePolicy(0.5, structure=NofM(n=2, m=4))",
    "Rule(('a', 'b'), KeepZeros(), structure=Block(shape=(1, 4), pooling='avg'))",
    "Rule('a', 0.5, criterion=wanda)",
    "PolynomialDecay(0.0, 0.8)",
    "PolynomialDecay(0.0, 0.8, 10, Epochs(3), frequency=5)",
    "CosineDecay(0.0, 0.8)",
    "CosineDecay(0.0, 0.8, end_step=Fraction(0.5))",
    "ConstantSparsity(0.5)",
    "KeepZeros()",
    "Epochs(1.5)",
    "Fraction(0.5)",
    "Unstructured()",
    "Block(shape=(2, 2), pooling='max')",
    "NofM(n=1, m=4)",
    "Channel(axis=-1)",
    "random_scores()",
    "random_scores(3)",
]
NAMES = {name: getattr(kpk, name) for name in kpk.__all__} | {
    "StageProgress": StageProgress
}


@pytest.mark.parametrize("text", TYPED)
def test_it_reads_as_what_one_would_type(text):
    made = eval(text, dict(NAMES))
    assert repr(made) == text


def test_all_that_is_made_by_a_call_is_under_contract():
    rooms = (callbacks, schedules, structures)
    made = {
        name
        for room in rooms
        for name in room.__all__
        if inspect.isclass(found := getattr(room, name))
        and not inspect.isabstract(found)
    }
    assert {name for name in made & set(kpk.__all__)} <= {
        text.partition("(")[0] for text in TYPED
    }
    # Criteria are functions: the names stand for themselves.
    for name in criteria.__all__:
        found = getattr(criteria, name)
        if name in kpk.__all__ and inspect.isfunction(found):
            assert written(found) == name


def test_what_cannot_be_typed_is_its_class(K):
    model = models.sequential(K)
    assert repr(kpk.Pruner(model, 0.8)) == "Pruner(<Sequential>, PrunePolicy(0.8))"
    assert repr(kpk.Clusterer(model, 8)) == "Clusterer(<Sequential>, 8)"
    data = np.zeros(3), np.zeros(3)
    pruning = kpk.PruningCallback(0.8, data=data)
    assert (
        repr(pruning)
        == "PruningCallback(PrunePolicy(0.8), data=(<ndarray>, <ndarray>))"
    )
    dense = kpk.Rule(K.layers.Dense, np.float64(0.5))
    assert repr(dense) == "Rule(Dense, 0.5)"


def test_a_subclass_with_arguments_of_its_own_can_be_read():
    class Mine(kpk.PruningCallback):
        def __init__(self, level):
            super().__init__(level / 100)

    assert repr(Mine(80)) == "Mine(...)"


def test_policies_round_trip_through_their_repr():
    policy = kpk.PrunePolicy(
        kpk.CosineDecay(0.1, 0.8, kpk.Epochs(1), kpk.Fraction(0.5), frequency=2),
        [kpk.Rule("a", None), kpk.Rule("b", 0.5, structure=kpk.NofM(2, 4))],
        criterion=kpk.lamp,
    )
    assert eval(repr(policy), dict(NAMES)) == policy
