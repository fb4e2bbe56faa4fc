"""The HTML pages, in a browser where there is one."""

import html
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.reports.pages import charts, svg

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
    assert not re.search("<(script|link|iframe)", text)
    assert len(text) < 1_000_000


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
        assert f"<td>{measurement.gzip_bytes:,}<" in text
        assert f"<td>{measurement.score:.4f}</td>" in text
    assert f"<td>{comparison.measurements[-1].bound_bytes:,.0f}</td>" in text


def charts_of(text):
    """Each chart of a page, by its title."""
    figures = re.findall(r'<figure class="kpk-chart">(.*?)</figure>', text, re.DOTALL)
    return {re.search("<figcaption>(.*?)<", figure)[1]: figure for figure in figures}


def test_every_chart_has_all_its_marks(comparison, page):
    count = len(comparison.measurements)
    text = page.read_text("utf-8")
    found = charts_of(text)
    assert found["Size, gzipped"].count('class="kpk-row"') == count
    assert found["Accuracy"].count('class="kpk-row"') == count
    assert found["Accuracy against size"].count("<title>") == count
    lines = found["Weights that are not zero, before and after"]
    assert lines.count('stroke-width="2"') == 2
    assert text.count("<details") == count
    assert text.count("<img src=") == len(comparison.samples.labels)


def test_a_marker_stands_where_its_values_are(comparison):
    """By the places of the ticks, which are beside their labels."""
    chart = charts_of(charts.tradeoff(comparison))["Accuracy against size"]
    marks = re.findall(r'<circle cx="(\S+)" cy="(\S+)" r="8"', chart)
    labels = re.findall(
        r'<text x="(\S+)" y="(\S+)" text-anchor="(\w+)"[^>]*>([^<]*)', chart
    )
    xs = [
        (float(x), bytes_of(t)) for x, _, a, t in labels if re.match(r"[\d.]+ k?B", t)
    ]
    ys = [(float(y) - 5, float(t)) for _, y, a, t in labels if a == "end"]
    for (x, y), m in zip(marks, comparison.measurements, strict=True):
        size = 10 ** interpolated(float(x), [(at, np.log10(v)) for at, v in xs])
        assert size == pytest.approx(m.gzip_bytes, rel=0.01)
        assert interpolated(float(y), ys) == pytest.approx(m.score, abs=0.002)


def bytes_of(text):
    number, unit = text.split()
    return float(number) * {"B": 1, "kB": 1e3}[unit]


def interpolated(at, ticks):
    """The value at a place of an axis, from the first and the last tick."""
    (a, low), (b, high) = ticks[0], ticks[-1]
    return low + (high - low) * (at - a) / (b - a)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.9, 0.95], ["0.90", "0.91", "0.92", "0.93", "0.94", "0.95"]),
        ([-1.0, 1.0], ["-1.0", "-0.5", "0.0", "0.5", "1.0"]),
        ([3.0], ["2.97", "2.98", "2.99", "3.00", "3.01", "3.02", "3.03"]),
        ([0.0], ["-0.010", "-0.005", "0.000", "0.005", "0.010"]),
        ([100.0, 900.0], ["200", "400", "600", "800"]),
    ],
)
def test_ticks_are_round(values, labels):
    axis = svg.linear("", values)
    assert [label for _, label in axis.ticks] == labels
    assert all(float(label) == pytest.approx(tick) for tick, label in axis.ticks)
    assert all(0 <= axis.share(tick) <= 1 for tick, _ in axis.ticks)


def test_a_size_is_on_a_logarithmic_axis():
    axis = svg.sizes("", [1_000, 100_000])
    assert axis.share(10_000) == pytest.approx(np.log(20) / np.log(300))
    many = ["500 B", "1.0 kB", "2.0 kB", "5.0 kB", "10.0 kB", "20.0 kB", "50.0 kB"]
    assert [text for _, text in axis.ticks] == [*many, "100.0 kB"]
    near = svg.sizes("", [4_000, 4_100])
    assert [t for t, _ in near.ticks] == [2000, 3000, 4000, 5000, 6000]
    far = svg.sizes("", [10, 10_000_000])
    assert [t for t, _ in far.ticks] == [10**power for power in range(1, 8)]
