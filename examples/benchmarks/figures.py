"""The figures and the picture of the README, from recorded runs.

Each sentence of a page that has measured figures stands here with a name in place of
each figure, and beside it a function that computes them from the .jsonl files of this
folder. The script says which figures on the pages differ; with `--write` it mends them
and draws the picture anew.

    python examples/benchmarks/figures.py [--write]
"""

import argparse
import json
import re
import statistics
import sys
from pathlib import Path

from matplotlib.figure import Figure

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "examples" / "pictures" / "front_page.png"
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#767676"


def lines(name, **wanted):
    """The recorded lines of a benchmark that have some values."""
    text = (Path(__file__).parent / f"{name}.jsonl").read_text()
    found = [json.loads(line) for line in text.splitlines()]
    return [x for x in found if all(x.get(k) == v for k, v in wanted.items())]


def mean(found, *keys):
    """The mean over lines of a value, which may be deeper in each."""
    values = []
    for line in found:
        for key in keys:
            line = line[key]
        values.append(line)
    if not values:
        raise ValueError(f"No recorded run has {keys}.")
    return statistics.mean(values)


def sized(row, table="compression_table"):
    """How small a row of a table of sizes gets, what that takes, and how fast it is."""
    ours = lines(table, row=row, method="kpk")
    theirs = lines(table, row=row, method="tfmot")
    scores = [line["accuracy"] for line in ours]
    size, whole = mean(ours, "gzip_bytes"), mean(ours, "fast_gzip_bytes")
    return {
        **how_small(ours),
        "least": f"{min(scores):.4f}",
        "most": f"{max(scores):.4f}",
        "epochs": str(sum(ours[0]["recipe"]["epochs"])),
        "minutes": f"{mean(ours, 'seconds') / 60:.0f}",
        "bytes": f"{size:,.0f}",
        "above": f"{100 * (mean(ours, 'over_bound') - 1):.0f}",
        "times": f"{mean(ours, 'times'):.1f}",
        "fast": f"{mean(ours, 'fast_times'):.1f}",
        "whole": f"{whole:,.0f}",
        "more": f"{100 * (whole / size - 1):.1f}",
        **({"tfmot": how_small(theirs)["gzip"]} if theirs else {}),
    }


def how_small(found):
    """How small the files of some runs are, and how good, beside the dense network."""
    return {
        "seeds": str(len(found)),
        "gzip": f"{mean(found, 'ratio'):.1f}",
        "zopfli": f"{mean(found, 'zopfli_ratio'):.1f}",
        "accuracy": f"{mean(found, 'accuracy'):.4f}",
        "before": f"{mean(found, 'baseline_accuracy'):.4f}",
    }


def faster(row):
    """A row of the table of speeds."""
    found = lines("speed_table", row=row)
    return {
        "macs": f"{mean(found, 'ours float32', 'fewer'):.1f}",
        "float32": f"{mean(found, 'ours float32', 'times'):.1f}",
        "int8": f"{mean(found, 'ours int8', 'times'):.1f}",
        "accuracy": f"{mean(found, 'ours float32', 'accuracy'):.4f}",
        "before": f"{mean(found, 'baseline float32', 'accuracy'):.4f}",
    }


def without_training(zeros):
    found = lines("one_shot", row="mnist_cnn", zeros=zeros, method="LAMP + solve")
    found = [line for line in found if line["samples"] == 512]
    return {
        "kept": f"{mean(found, 'accuracy'):.3f}",
        "dense": f"{mean(found, 'dense'):.3f}",
    }


def at_once(row, zeros, method, samples=512):
    """The accuracy without training, and of the dense network."""
    found = lines("one_shot", row=row, zeros=zeros, samples=samples)
    if method == "dense":
        # Each method has it in its lines.
        return f"{mean(found, 'dense'):.4f}"
    found = [line for line in found if line["method"] == method]
    return f"{mean(found, 'accuracy'):.4f}"


def table_of(name, methods, columns):
    """A sentence for each line of a table of accuracies without training."""
    for method in methods:
        found = [number for number, c in enumerate(columns) if has_run(*c, method)]
        texts = [f"{{c{n}}}" if n in found else "" for n in range(len(columns))]
        label = f"{name}, {method}" if name else method
        sentence = f"| {label} |" + "".join(f" {t} |" if t else " |" for t in texts)
        chosen = {f"c{n}": columns[n] for n in found}

        def figures(method=method, chosen=chosen):
            return {key: at_once(*column, method) for key, column in chosen.items()}

        yield "examples/benchmarks/README.md", sentence, figures


def has_run(row, zeros, method):
    found = lines("one_shot", row=row, zeros=zeros, samples=512)
    return any(method in ("dense", line["method"]) for line in found)


def searched(seed):
    """What two searches of equal time found, with one seed."""
    naive, ours = (
        lines("search", search=name, seed=seed)[0] for name in ("naive", "ours")
    )
    (both,) = [line for line in lines("search", seed=seed) if "bound" in line]
    return {
        "naive_trials": str(naive["trials"]),
        "trials": str(ours["trials"]),
        "naive": f"{naive['hypervolume']:.3f}",
        "ours": f"{ours['hypervolume']:.3f}",
        "times": f"{both['times_the_hypervolume']:.1f}",
        "bound": f"{both['bound']:.3f}",
        "most": f"{both['bound'] / naive['hypervolume']:.1f}",
    }


def coded(row):
    """A row of the table of what is left in the bytes."""
    (line,) = lines("coding", row=row)
    size, zopfli = line["gzip_bytes"], line["encoders"]["zopfli"]
    return {
        "before": f"{line['before_gzip_bytes']:,}",
        "after": f"{size:,}",
        "saved": f"{-line['percent']['all three']:.1f}",
        "zopfli": f"{zopfli:,}",
        "better": f"{100 * (1 - zopfli / size):.1f}",
        "above": f"{100 * (size / line['bound_bytes'] - 1):.0f}",
    }


def parts(row):
    """Where the gzipped bytes of a file are."""
    (line,) = lines("coding", row=row)
    return {key.partition("'")[0]: f"{size:,}" for key, size in line["parts"].items()}


def ways(group, way):
    """What one way saves, in percent: the median, the least and the most."""
    found = [-line[group][way] for line in lines("coding")]
    values = {"median": statistics.median(found)}
    values |= {"least": min(found), "most": max(found)}
    return {name: f"{abs(value):.1f}" for name, value in values.items()}


def most_moved(way):
    """The largest change of an output by one way."""
    found = [line["moved"][way]["largest_change"] for line in lines("coding")]
    return {"moved": f"{max(found):.3f}"}


_PLAIN = ("dense", "magnitude", "LAMP", "magnitude + solve", "LAMP + solve")
_DIGITS = [("mnist_cnn", z) for z in (0.9, 0.95, 0.98)]
_DIGITS += [("lenet_5", z) for z in (0.95, 0.98)]
_COLOURED = [("resnet8", z) for z in (0.5, 0.7, 0.8, "2:4")]
_ROWS_OF_DIGITS = [("encoder", z) for z in (0.5, "2:4")]

_SMALLER = "| {gzip}x | {accuracy} | {before} | {tfmot}x |"
_FASTER = "| {macs}x | {float32}x faster | {int8}x faster | {accuracy} | {before} |"

_PAGE = "examples/benchmarks/README.md"
_CODED = {
    "tiny CNN": "tiny_cnn",
    "LeNet-300-100": "lenet_300_100",
    "LeNet-5": "lenet_5",
    "MNIST CNN, 70 % of its channels out": "mnist_cnn",
    "MNIST CNN, 95 % zeros, 8 bits": "mnist_cnn_95",
    "ResNet8, 80 % zeros, 8 bits": "resnet8_80",
    "the same, 4 bits": "resnet8_80_4bit",
    "ResNet8, half of its channels, 60 % zeros": "resnet8_half_60",
}
_SIZED = {
    "MNIST tutorial CNN": ("compression_table", "mnist_cnn"),
    "the same, 2 bits in its widest layer": ("compression_table", "mnist_cnn_2_bits"),
    "tiny CNN, 12 filters": ("compression_table", "tiny_cnn"),
    "LeNet-5": ("compression_table", "lenet_5"),
    "LeNet-300-100": ("compression_table", "lenet_300_100"),
    "TrashNet, MobileNet 0.25": ("compression_table", "trashnet"),
    "ResNet8, TrashNet at 32 x 32": ("judged_table", "resnet8_trashnet"),
    "DS-CNN, imitated keywords": ("judged_table", "ds_cnn"),
    "Transformer encoder, docstrings": ("judged_table", "text_encoder"),
}
_SIZES = "| {seeds} | {gzip}x | {zopfli}x | {accuracy} | {least} to {most} | {before} |"
_COSTS = "| {epochs} | {minutes} | {bytes} | {above} % | {times}x | {fast}x | {whole} |"
_TFMOT = "| {seeds} | {gzip}x | {zopfli}x | {accuracy} | {before} |"
_SEARCHED = (
    "| {naive_trials} | {trials} | {naive} | {ours} | {times} | {bound} | {most} |"
)
_BYTES = "| {before} | {after} | {saved} % | {zopfli} | {better} % | {above} % |"
_PARTS = "| {kernels} | {biases} | {scales} | {graph} | {deflate} |"
_SAVES = "| {median} % | {least} to {most} % |"
_KEPT = {
    "channels along a short path through the patterns of zeros, where smaller": (
        "order of channels"
    ),
    "no reshape before fully connected layers (five files have one)": "no reshape",
    "constants by type and size": "order of constants",
}
_LEFT = {
    "one scale for all biases of a layer": "one scale for all biases of a layer",
    "batch size open at inputs and outputs only": "batch size open at the ends only",
    "names without the model's and the operation's": "names without the model's",
}
_INEXACT = ("biases within 1/8 step", "scales within 0.1 %")

# The page, a sentence on it, and figures, among which are those in it.
SENTENCES = [
    *((_PAGE, f"| {n} {_BYTES}", lambda r=r: coded(r)) for n, r in _CODED.items()),
    *(
        (_PAGE, f"| {name} {_PARTS}", lambda row=_CODED[name]: parts(row))
        for name in (
            "tiny CNN",
            "MNIST CNN, 70 % of its channels out",
            "MNIST CNN, 95 % zeros, 8 bits",
            "ResNet8, half of its channels, 60 % zeros",
        )
    ),
    *(
        (_PAGE, f"| {name} {_SAVES}", lambda way=way: ways("percent", way))
        for name, way in _KEPT.items()
    ),
    *(
        (_PAGE, f"| {name} {_SAVES}", lambda way=way: ways("others_percent", way))
        for name, way in _LEFT.items()
    ),
    *(
        (
            _PAGE,
            f"| {name} {_SAVES} outputs change, by {{moved}} at most |",
            lambda way=way: ways("others_percent", way) | most_moved(way),
        )
        for name, way in zip(
            ("biases within 1/8 of an output's step", "scales within 0.1 %"),
            _INEXACT,
            strict=True,
        )
    ),
    *(
        (_PAGE, f"| {name} {columns}", lambda row=row, table=table: sized(row, table))
        for name, (table, row) in _SIZED.items()
        for columns in (_SIZES, _COSTS)
    ),
    *(
        (
            _PAGE,
            f"| {name} {_TFMOT}",
            lambda row=row, table=table: how_small(
                lines(table, row=row, method="tfmot")
            ),
        )
        for name, (table, row) in _SIZED.items()
        if row != "mnist_cnn_2_bits"  # TFMOT's is that of the row above.
    ),
    *((_PAGE, f"| {n} {_SEARCHED}", lambda n=n: searched(n)) for n in range(3)),
    *(
        ("README.md", f"| {name} {_SMALLER}", lambda row=row: sized(row))
        for name, row in (
            ("MNIST tutorial CNN", "mnist_cnn"),
            ("LeNet-5", "lenet_5"),
            ("LeNet-300-100", "lenet_300_100"),
            ("TrashNet photographs, MobileNet 0.25", "trashnet"),
        )
    ),
    (
        "README.md",
        "The MNIST CNN is {zopfli} times smaller in a gzip file that Zopfli writes. "
        "Its file is {times} times as fast as the dense one, and {fast} times after "
        "`tflite.unpacked()`, which makes it {more} % larger",
        lambda: sized("mnist_cnn"),
    ),
    (
        "README.md",
        "one with weights of 2 bits is {times} and {fast} times as fast",
        lambda: sized("mnist_cnn_2_bits"),
    ),
    *(
        ("README.md", f"| {name} {_FASTER}", lambda row=row: faster(row))
        for name, row in (
            ("MNIST tutorial CNN", "mnist_cnn"),
            ("ResNet of 8 layers", "resnet8"),
            ("Transformer encoder", "encoder"),
        )
    ),
    (
        "README.md",
        "the MNIST CNN: {float32} times as fast, no accuracy lost",
        lambda: {"float32": faster("mnist_cnn")["float32"]},
    ),
    (
        "README.md",
        "the MNIST CNN keeps {kept} of {dense} at 95 % zeros",
        lambda: without_training(0.95),
    ),
    (
        "README.md",
        "The MNIST tutorial's CNN: {before_mb} MB before and {after_kb} kB after, "
        "{small_before} % and {small_after} % of the test images right; {before_us} "
        "microseconds a picture before and {after_us} after, {fast_before} % and "
        "{fast_after} % right",
        lambda: front_page(),
    ),
    *table_of("", (*_PLAIN, "LAMP + OBS"), _DIGITS),
    *table_of(
        "ResNet8",
        (*_PLAIN, "LAMP, BatchNorm", "LAMP + OBS", "surgeon + solve"),
        _COLOURED,
    ),
    *table_of(
        "encoder",
        ("dense", "magnitude", "magnitude + solve", "LAMP + solve", "surgeon + solve"),
        _ROWS_OF_DIGITS,
    ),
    (
        "examples/benchmarks/README.md",
        "takes the ResNet8 at 80 % from {solved} to {distilled}, LeNet-5 at 98 % from "
        "{lenet} to {lenet_distilled}",
        lambda: {
            "solved": at_once("resnet8", 0.8, "LAMP + solve"),
            "distilled": at_once("resnet8", 0.8, "LAMP + solve, distilled"),
            "lenet": at_once("lenet_5", 0.98, "LAMP + solve"),
            "lenet_distilled": at_once("lenet_5", 0.98, "LAMP + solve, distilled"),
        },
    ),
    (
        "examples/benchmarks/README.md",
        "LAMP + solve gives the MNIST CNN {mnist} at 95 %, the ResNet8 {resnet} at "
        "70 %",
        lambda: {
            "mnist": at_once("mnist_cnn", 0.95, "LAMP + solve", 64),
            "resnet": at_once("resnet8", 0.7, "LAMP + solve", 64),
        },
    ),
]


def front_page():
    """The figures of the picture."""
    small = lines("compression_table", row="mnist_cnn", method="kpk")
    fast = lines("speed_table", row="mnist_cnn")
    after = mean(small, "gzip_bytes")

    def percent(found, *keys):
        return f"{100 * mean(found, *keys):.1f}"

    return {
        "before_mb": f"{after * mean(small, 'ratio') / 1e6:.2f}",
        "after_kb": f"{after / 1e3:.1f}",
        "small_before": percent(small, "baseline_accuracy"),
        "small_after": percent(small, "accuracy"),
        "before_us": f"{1e3 * mean(fast, 'baseline float32', 'ms'):.0f}",
        "after_us": f"{1e3 * mean(fast, 'ours float32', 'ms'):.1f}",
        "fast_before": percent(fast, "baseline float32", "accuracy"),
        "fast_after": percent(fast, "ours float32", "accuracy"),
    }


def pattern(sentence):
    """A regular expression for a sentence with any figures, wrapped anywhere."""
    parts = re.split(r"\{(\w+)\}", sentence)
    texts = [r"\s+".join(map(re.escape, re.split(r"\s+", t))) for t in parts[::2]]
    groups = [rf"(?P<{name}>[\d.,]*\d)" for name in parts[1::2]] + [""]
    return re.compile("".join(a + b for a, b in zip(texts, groups, strict=True)))


def differences():
    """Yield each figure that differs: the page, its place there, and what is right."""
    for page, sentence, figures in SENTENCES:
        text = (ROOT / page).read_text("utf-8")
        found = list(pattern(sentence).finditer(text))
        if len(found) != 1:
            raise ValueError(
                f"{page} has this sentence once: {sentence}. Found: {len(found)} times."
            )
        known = figures()
        for name, stated in found[0].groupdict().items():
            if stated != known[name]:
                yield page, found[0].span(name), known[name]


def write():
    while found := list(differences()):
        page, (start, end), right = found[0]
        path = ROOT / page
        text = path.read_text("utf-8")
        path.write_text(text[:start] + right + text[end:], "utf-8")
    draw(front_page())


def draw(figures):
    """Draw the front page's picture: bytes on the left, microseconds on the right."""
    figure = Figure(figsize=(9, 2.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    bars(
        left,
        f"{sized('mnist_cnn')['gzip'].partition('.')[0]} times smaller",
        "fewer channels, zeros, weights of 3 bits",
        (1e3 * float(figures["before_mb"]), float(figures["after_kb"])),
        (f"{figures['before_mb']} MB", f"{figures['after_kb']} kB"),
        (figures["small_before"], figures["small_after"]),
    )
    bars(
        right,
        f"{faster('mnist_cnn')['float32']} times as fast",
        "three quarters of the channels removed",
        (float(figures["before_us"]), float(figures["after_us"])),
        (f"{figures['before_us']} µs", f"{figures['after_us']} µs"),
        (figures["fast_before"], figures["fast_after"]),
    )
    figure.get_layout_engine().set(wspace=0.1)
    figure.savefig(PICTURE, dpi=150)


def bars(axes, title, way, values, names, percents):
    """Two bars, and what part of the test images is right with each."""
    axes.barh(["after", "before"], values[::-1], color=[BLUE, GREY], height=0.6)
    for place, value in enumerate(values[::-1]):
        text = f"{names[1 - place]}, {percents[1 - place]} % right"
        inside = value > max(values) / 2
        axes.annotate(
            text,
            (value, place),
            (-8 if inside else 8, 0),
            textcoords="offset points",
            va="center",
            ha="right" if inside else "left",
            color="white" if inside else "black",
        )
    axes.text(
        *(0, 1.13, title),
        transform=axes.transAxes,
        fontsize=16,
        fontweight="bold",
        color=BLUE,
        va="bottom",
    )
    axes.set_title(way, fontsize=10, loc="left", color="#555555")
    axes.set_xticks([])
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="mend them")
    if parser.parse_args().write:
        write()
        return
    found = list(differences())
    for page, (start, _), right in found:
        line = (ROOT / page).read_text("utf-8")[:start].count("\n") + 1
        print(f"{page}:{line}: the recorded runs say {right}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
