"""Progress in a notebook, in a real kernel and by the messages it would get."""

import sys
import textwrap
import types

import nbformat
import pytest
from nbclient import NotebookClient

from keras_prune_kit._tools import notebook_line, progress
from keras_prune_kit._tools.notebook_line import Line, NotebookLine, in_notebook
from keras_prune_kit.compression import notebook
from keras_prune_kit.compression.recipe import Recipe


class Screen:
    """What is shown in place of the line, from first to last."""

    def __init__(self):
        self.lines = []

    def __call__(self, line, display_id):
        assert display_id
        self.lines.append(line)
        return types.SimpleNamespace(update=self.lines.append)


@pytest.fixture
def clock(monkeypatch):
    """A clock that is moved by hand."""
    now = types.SimpleNamespace(seconds=100.0)
    fake = types.SimpleNamespace(monotonic=lambda: now.seconds)
    monkeypatch.setattr(notebook_line, "time", fake)
    return now


def test_a_line_says_the_stage_what_is_left_and_where_the_time_went(clock):
    screen = Screen()
    line = NotebookLine(screen)
    with progress.listening(line.stage):
        with progress.stage("training", 4) as stage:
            stage.rename("training, epoch 1/2")
            for _ in range(2):
                clock.seconds += 30
                stage.advance()
            with progress.stage("evaluating", None):
                clock.seconds += 1
        with progress.stage("training", None):
            clock.seconds += 9
        with progress.stage("converting"):
            clock.seconds += 5
    line.finish()
    assert [repr(line) for line in screen.lines] == [
        "starting",
        "training: 0%",
        "training, epoch 1/2: 25%, 1 min 30 s left",
        "training, epoch 1/2: 50%, 1 min 0 s left",
        "training, 0 s",
        "converting, 0 s",
        "1 min 15 s: training 1 min 10 s, converting 5 s",
    ]


def test_a_line_is_not_replaced_all_the_time(clock):
    screen = Screen()
    line = NotebookLine(screen)
    with progress.listening(line.stage):
        for _ in progress.track(range(1000), "running"):
            clock.seconds += 0.01
    assert len(screen.lines) == pytest.approx(2 + 10 / 0.2, abs=5)


def test_the_line_has_what_the_job_told(clock):
    screen = Screen()
    line = NotebookLine(screen)
    with progress.listening(line.stage, line.tell):
        progress.tell("attempt 2 of at most 4")
        clock.seconds += 1
        with progress.stage("converting"):
            pass
    assert repr(screen.lines[-1]) == "converting, 0 s (attempt 2 of at most 4)"


def test_html_has_a_bar_and_no_markup_of_others():
    html = Line("<b>layer</b>", 0.25)._repr_html_()
    assert "width: 25%" in html and "&lt;b&gt;layer" in html
    assert "width" not in Line("layer")._repr_html_()


def test_here_is_no_notebook(monkeypatch):
    assert not in_notebook()
    shell = types.SimpleNamespace(kernel=object())
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    assert in_notebook()
    del shell.kernel  # IPython in a terminal.
    assert not in_notebook()


@pytest.mark.parametrize(("verbose", "is_line"), [("auto", True), (1, False)])
def test_keras_bars_stay_where_they_are_asked_for(monkeypatch, verbose, is_line):
    monkeypatch.setattr(notebook, "in_notebook", lambda: True)
    monkeypatch.setattr(notebook, "NotebookLine", lambda: NotebookLine(Screen()))
    recipe = Recipe(None, None, None, None, 1, None, (), verbose)
    with notebook.shown_stages(recipe) as shown:
        assert (shown.verbose == 0) == is_line
        assert len(shown.callbacks) == is_line


CELLS = (
    """
    import numpy as np, keras
    import keras_prune_kit as kpk
    x = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    y = (x[:, 0] > 0).astype("int32")
    model = keras.Sequential([
        keras.layers.Input((8,)), keras.layers.Dense(16, "relu"),
        keras.layers.Dense(2, "softmax"),
    ])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    """,
    """
    report = kpk.compress(
        model, (x, y), validation_data=(x, y), epochs=3, quantization="dynamic"
    )
    """,
    "report",
    "kpk.PruningCallback(0.8)",
)


@pytest.mark.quick_in("keras")
def test_a_notebook_gets_one_line_and_a_table(tmp_path):
    cells = [nbformat.v4.new_code_cell(textwrap.dedent(text)) for text in CELLS]
    written = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(written, timeout=200, kernel_name="python3").execute()
    _, work, table, callback = (cell.outputs for cell in written.cells)
    shown = [out for out in work if out.output_type == "display_data"]
    assert len(shown) == 1
    assert "training" in shown[0].data["text/plain"]
    assert "converting" in shown[0].data["text/plain"]
    for out in work:
        text = out.get("text", "") + str(out.get("data", ""))
        assert not any(sign in text for sign in ("\x1b", "\b", "\r", "Epoch 1/3"))
    assert "<table>" in table[0].data["text/html"]
    assert "<svg" in table[0].data["text/html"]
    assert callback[0].data["text/plain"] == "PruningCallback(PrunePolicy(0.8))"
