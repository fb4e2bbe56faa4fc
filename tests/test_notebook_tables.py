"""What a notebook shows of a record: the cells of the printed table, with bars."""

import dataclasses
import importlib
import math
import pkgutil
import re
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
import sample_pages

import keras_prune_kit
from keras_prune_kit.channels import ChannelGroup, ChannelGroups
from keras_prune_kit.policies.plan import PlannedWeight, PrunePlan
from keras_prune_kit.reports import (
    Attempt,
    ClusteringReport,
    Comparison,
    CompressionReport,
    EntropyBound,
    Environment,
    Histogram,
    LayerReport,
    Measurement,
    ParetoFront,
    Printed,
    ReconstructionReport,
    RepairedWeight,
    Search,
    SearchTrial,
    SensitivityReport,
    Skipped,
    SparsityReport,
    TensorEntropy,
    WeightClusters,
    WeightSensitivity,
    WeightSparsity,
)
from keras_prune_kit.reports.printed import Table
from keras_prune_kit.schedules import ConstantSparsity
from keras_prune_kit.structures import Unstructured

EVIL = "<script>alert(1)</script>"
SKIPPED = (Skipped("head", "no <kernel>"),)
KERNEL = WeightSparsity(EVIL, (8, 4), zeros=24)
ZEROS = SparsityReport((KERNEL,), SKIPPED)
MEASUREMENT = Measurement(
    name=EVIL,
    file=".tflite",
    scores={"accuracy": 0.9, "auc": 0.8},
    file_bytes=2000,
    gzip_bytes=1000,
    sparse_gzip_bytes=900,
    parameters=40,
    nonzero_parameters=10,
    weights=ZEROS,
    histogram=Histogram((0.0, 1.0), (10,)),
    bound_bytes=800.0,
    latency_ms=0.5,
    macs=32,
)
COMPARISON = Comparison(
    (MEASUREMENT, dataclasses.replace(MEASUREMENT, name="small", gzip_bytes=250)),
    Environment("a processor", 2, "Linux", "zlib", {"keras": "3"}),
    latency_runs=3,
)
SEARCH = Search(
    "accuracy", 0.9, 0.01, (Attempt(EVIL, 0, 0.9, 1000, True),) * 2, chosen=1
)
TRIAL = SearchTrial("0", Path("t"), 0.9, 512, {"sparsity": 0.5}, {"quantization": EVIL})

RECORDS = [
    ZEROS,
    COMPARISON,
    CompressionReport(COMPARISON, None, None, ZEROS, {}, SEARCH),
    SEARCH,
    ParetoFront((TRIAL,), "accuracy", 0.9, 1024, 0.01),
    SensitivityReport(0.25, (WeightSensitivity(EVIL, (8,), (0.5, 0.9), (0.5, 0.75)),)),
    ReconstructionReport((RepairedWeight(EVIL, 0.9, 512, 0.25, 0.01),), SKIPPED),
    ClusteringReport((WeightClusters(EVIL, (8, 4), 3, 16, 4),), SKIPPED),
    EntropyBound(
        (TensorEntropy(f"m/{EVIL}"[:19], "int8", (8, 4), 32, 24, 10.0, 12),),
        *(500, 300, 532, 341),
    ),
    LayerReport(((EVIL, "8-bit weights"),), SKIPPED),
    PrunePlan(
        (PlannedWeight(EVIL, (8, 4), ConstantSparsity(0.5), Unstructured(), "policy"),),
        SKIPPED,
    ),
    ChannelGroups((ChannelGroup((EVIL,), "units", 8, "<kept>"),), ("what",)),
]


def printed_classes():
    """All classes of the package that print as tables."""
    for module in pkgutil.walk_packages(
        keras_prune_kit.__path__, f"{keras_prune_kit.__name__}."
    ):
        if module.name.rpartition(".")[2] != "__main__":
            importlib.import_module(module.name)
    found, open_ = set(), [Printed]
    while open_:
        below = open_.pop().__subclasses__()
        found.update(below)
        open_ += below
    return found


def test_every_record_that_prints_is_under_contract():
    assert printed_classes() == {type(record) for record in RECORDS}


def test_no_record_prints_a_table_of_its_own():
    """It would have none in a notebook; the command line prints to terminals alone."""
    folder = Path(keras_prune_kit.__file__).parent
    callers = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if "render_table(" in path.read_text("utf-8")
    }
    assert callers == {"reports/tables.py", "reports/printed.py", "cli/inspect.py"}


class Reader(HTMLParser):
    """The cells, bars and tags of a fragment, which must be closed in order."""

    def __init__(self, text):
        super().__init__()
        self.cells, self.bars, self.tags, self._open = [], [], set(), []
        self.feed(text)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag == "i":
            self.bars.append(float(re.search(r"width: (.*)%", dict(attrs)["style"])[1]))
        if tag in ("td", "th"):
            self.cells.append("")
        self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if {"td", "th"} & set(self._open):
            self.cells[-1] += data


def bars_of(table):
    """The bars of a table, row by row."""
    assert set(table.bars) <= set(table.columns)
    order = [table.bars[name] for name in table.columns if name in table.bars]
    return [bar for row in zip(*order, strict=True) for bar in row if bar is not None]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_notebook_shows_the_cells_that_are_printed(record):
    shown = Reader(record._repr_html_())
    tables = [block for block in record._blocks() if isinstance(block, Table)]
    cells = [cell for t in tables for row in (t.columns, *t.rows) for cell in row]
    assert shown.cells == cells
    assert shown.bars == pytest.approx(
        [100 * bar for t in tables for bar in bars_of(t)], abs=0.01
    )
    assert all(0 <= length <= 100 for length in shown.bars)
    words = re.sub(r"\s+", "", unescape(record._repr_html_()))
    for line in str(record).splitlines():
        for word in line.replace("─", "").split():
            assert word in words


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_notebook_gets_text_and_nothing_that_runs_or_loads(record):
    text = record._repr_html_()
    assert not Reader(text).tags & {"script", "link", "img", "iframe", "object"}
    assert EVIL not in text
    assert not re.search(r"(?:src|href|on\w+)=", text)


def test_a_bar_is_as_long_as_the_zeros_are_many():
    assert Reader(ZEROS._repr_html_()).bars == [75, 75]
    # The gzipped sizes, 1,000 and 250 bytes, and both sparsities; in two tables.
    assert Reader(COMPARISON._repr_html_()).bars == [100, 25, 75, 75]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_shown_as_it_is(value):
    kernel = WeightSensitivity("kernel", (8,), (0.5, 0.9), (0.5, value))
    text = SensitivityReport(0.25, (kernel,))._repr_html_()
    assert Reader(text).bars == [100, 0]
    assert f">{value:+.3f}<" in text
    assert text.count('r="4"') == 1  # one of two points
    assert not re.search(r'="[^"<>]*\b(nan|inf)', text)
    lost = dataclasses.replace(MEASUREMENT, scores={"accuracy": value, "auc": 0.5})
    compared = dataclasses.replace(COMPARISON, measurements=(MEASUREMENT, lost))
    assert f"{value:.4f}" in compared._repr_html_()


def test_many_lines_open_with_a_click():
    skipped = [Skipped(f"layer_{i}", f"reason {i}") for i in range(9)]
    text = SparsityReport((KERNEL,), tuple(skipped))._repr_html_()
    assert "<summary>9 notes</summary>" in text
    assert text.count("<li>") == 9


def test_the_sample_pages_have_every_record():
    """Those that axe-core looks at."""
    shown = {type(record) for record in sample_pages.records()}
    # An attempt list is a part of a compression.
    assert shown | {Search} == printed_classes()
