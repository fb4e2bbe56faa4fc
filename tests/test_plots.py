"""The picture of a run."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

import keras_prune_kit as kpk


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved."""
    figures, save = [], Figure.savefig

    def savefig(self, *args, **kwargs):
        figures.append(self)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return figures


def curves(panel):
    return {line.get_label(): list(line.get_ydata()) for line in panel.lines}


@pytest.mark.quick_in("keras")
def test_a_run_is_drawn_as_it_was(mlp, data, tmp_path, drawn):
    history = mlp().fit(
        *data,
        initial_epoch=1,
        epochs=4,
        verbose=0,
        validation_data=data,
        callbacks=[kpk.PruningCallback(0.8), kpk.GzipSizeLogger()],
    )
    kpk.plot_sparsity(history, tmp_path / "run.png")
    above, below = drawn[0].axes
    logs = history.history
    assert curves(above) == {"sparsity": logs["sparsity"]}
    assert curves(below) == {n: logs[n] for n in ("accuracy", "val_accuracy")}
    assert list(above.lines[0].get_xdata()) == [2, 3, 4]
    assert imread(tmp_path / "run.png").shape[1] >= 800


@pytest.mark.parametrize(
    ("logs", "metric", "names"),
    [
        ({"sparsity": [0.8]}, None, []),
        ({"loss": [1.0], "gzip_bytes": [9], "sparsity": [0.8]}, None, ["loss"]),
        ({"loss": [1.0], "auc": [0.5], "sparsity": [0.8]}, None, ["auc"]),
        ({"loss": [1.0], "auc": [0.5], "sparsity": [0.8]}, "loss", ["loss"]),
        ({"a": [1.0, 2.0], "val_a": [3.0], "sparsity": [0.5, 0.8]}, None, ["a"]),
    ],
)
def test_the_metric_that_is_drawn(tmp_path, drawn, logs, metric, names):
    kpk.plot_sparsity(logs, tmp_path / "run.svg", metric=metric)
    assert [name for panel in drawn[0].axes[1:] for name in curves(panel)] == names


@pytest.mark.parametrize(
    ("history", "metric", "message"),
    [
        ({"loss": [1.0]}, None, "fit with a PruningCallback"),
        (np.zeros(3), None, "History with sparsity"),
        ({"sparsity": [0.8]}, "auc", "metric='auc'"),
    ],
)
def test_what_is_missing_is_named(tmp_path, history, metric, message):
    with pytest.raises(ValueError, match=message):
        kpk.plot_sparsity(history, tmp_path / "run.png", metric=metric)


def test_a_picture_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def half(self, path, **kwargs):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", half)
    with pytest.raises(OSError, match="disk full"):
        kpk.plot_sparsity({"sparsity": [0.8]}, tmp_path / "run.png")
    assert not list(tmp_path.iterdir())
