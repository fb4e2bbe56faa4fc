"""The HTML pages, in a browser where there is one."""

import html
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

import keras_prune_kit as kpk

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def comparison():
    import keras

    def build():
        model = keras.Sequential(
            [
                keras.layers.Input((8, 8, 1)),
                keras.layers.Flatten(),
                keras.layers.Dense(16, activation="relu"),
                keras.layers.Dense(3, activation="softmax"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    rng = np.random.default_rng(0)
    x, y = rng.random((40, 8, 8, 1), "float32"), rng.integers(0, 3, 40)
    model = build()
    entries = {"baseline": model, EVIL: build(), "int8": kpk.export_tflite(model)}
    return kpk.compare(entries, x, y, class_names=["ant", "bee", EVIL])


@pytest.fixture(scope="module")
def page(comparison, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    comparison.to_html(path)
    return path


def test_one_file_that_loads_nothing(page):
    text = page.read_text("utf-8")
    body = text[text.index("</head>") :]
    assert not re.search(r'(?:src|href)="(?!data:)', body)
    assert "<script src" not in text and "<link" not in text


def test_what_the_user_named_is_text(page):
    body = page.read_text("utf-8").partition("</head>")[2]
    assert EVIL not in body
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
@pytest.mark.parametrize("name", [EVIL, "<img src=x onerror=document.title=1>"])
def test_the_name_of_a_layer_is_text_in_a_browser(comparison, tmp_path, name):
    first, *others = comparison.measurements
    weight = replace(first.weights.weights[0], path=name)
    first = replace(first, weights=replace(first.weights, weights=(weight,)))
    path = tmp_path / "page.html"
    replace(comparison, measurements=(first, *others)).to_html(path)
    dom = dom_of(path, tmp_path)
    assert dom.count(html.escape(name, quote=False)) > 0
    body = dom.partition("</head>")[2]
    assert "<script>alert" not in body and "<img src=x" not in body
    assert "<title>Comparison</title>" in dom


def dom_of(path, folder):
    """The page as a browser has it after its scripts have run, without a word."""
    run = subprocess.run(
        [
            *(BROWSER, "--headless", "--no-sandbox", "--disable-gpu"),
            *("--enable-logging=stderr", "--virtual-time-budget=10000"),
            *(f"--user-data-dir={folder}", "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "CONSOLE" not in run.stderr, run.stderr
    return run.stdout


def test_figures_are_in_the_table(comparison, page):
    text = page.read_text("utf-8")
    for measurement in comparison.measurements:
        assert f"<td>{measurement.gzip_bytes:,}</td>" in text
        assert f"<td>{measurement.score:.4f}</td>" in text
    assert f"<td>{comparison.measurements[-1].bound_bytes:,.0f}</td>" in text


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")
def test_a_browser_draws_every_chart(comparison, page, tmp_path):
    count = len(comparison.measurements)
    dom = dom_of(page, tmp_path)
    charts = {
        match[1]: match[2]
        for match in re.finditer(
            r'<div id="([a-z]+-\d)" class="plotly-graph-div.*?>(.*?)(?=<div id="|$)',
            dom,
            re.DOTALL,
        )
    }
    bars = {name: chart.count('<g class="point"') for name, chart in charts.items()}
    assert bars["overview-0"] == bars["overview-1"] == count
    assert charts["overview-2"].count('<path class="point"') == count
    lines = charts["histogram-0"].partition('<g class="infolayer"')[0]  # no legend
    assert lines.count('<path class="js-line"') == 2
    assert bars["sparsity-0"] == bars[f"sparsity-{count - 1}"] == 2
    assert dom.count("<img src=") == len(comparison.samples.labels)
