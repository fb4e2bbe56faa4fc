"""Tables of 80 columns: long paths break at a slash, and no value is lost."""

import pytest

from keras_prune_kit.reports.tables import fold_path, render_table

PATHS = [
    "gemma_backbone/decoder_block_11/attention/query_projection/kernel",
    "bert/transformer_layer_10/_self_attention_layer/attention_output/kernel",
    "functional_1/separable_conv2d_1/separable_conv2d/depthwise",
    "dense/kernel",
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("width", [24, 33, 60, 90])
def test_lines_end_at_a_slash_and_fit(path, width):
    first, *others = fold_path(path, width).split("\n")
    assert max(map(len, [first, *others])) <= width
    assert all(line.startswith("  ") for line in others)
    assert first + "".join(line[2:] for line in others) == path
    assert all(line.endswith("/") for line in [first, *others][:-1])
    # No line could have taken the next part, too.
    for line, following in zip([first, *others], others, strict=False):
        part = following[2 : following.find("/") + 1 or None]
        assert len(line) + len(part) > width


def test_a_name_longer_than_a_line_breaks_at_underscores():
    assert (
        fold_path("one_two_three_four/kernel", 12)
        == "one_two_\n  three_\n  four/\n  kernel"
    )
    assert fold_path("x" * 20, 12) == "x" * 10 + "\n  " + "x" * 10


def test_a_label_with_spaces_is_left_to_wrap():
    assert fold_path("a name of three words", 10) == "a name of three words"


def test_only_the_first_column_breaks():
    rows = [(path, "768x12x64", "123,456", "20.93 %", "90.00 %") for path in PATHS]
    columns = ("weight", "shape", "zeros", "sparsity", "target")
    lines = render_table("Sparsity", columns, rows).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum("768x12x64  123,456   20.93 %  90.00 %" in line for line in lines) == 4
    assert " gemma_backbone/decoder_block_11/" in lines[4]
    assert lines[5] == "   attention/query_projection/kernel"
