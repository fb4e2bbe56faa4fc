"""What is left to save in the bytes of a .tflite that any interpreter reads?

Eight files: four of the networks of `compression_table.py`, trained while their weights
are rounded, in fewer epochs on 20,000 pictures; four of `one_shot_models.py`, pruned
without training. Each is taken as the converter gives it and made smaller in several
ways, those of the exporter and others; what a way does to the outputs is measured on
500 test inputs. Prints a line of JSON for each file: bytes after gzip level 9, where
they are, and the change that each way makes, in percent.

    python examples/benchmarks/coding.py --data FOLDER --models FOLDER
        [--rows tiny_cnn ...] [--out coding.jsonl]

FOLDER is as in `one_shot.py`; trained files are kept in the one of --models. Needs
`pip install keras-prune-kit[zopfli]`. Expect 1 to 4 % of the exporter's ways, and about
10 % of zopfli.
"""

import argparse
import json
import sys
import zlib
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest import mock

import compression_table
import flatbuffers
import keras
import numpy as np
import one_shot_models
from ai_edge_litert import schema_py_generated as schema
from deflate_bits import bits_per_byte

import keras_prune_kit as kpk
from keras_prune_kit.tflite import constants, convert
from keras_prune_kit.tflite.shrinking import packing, shrink, sorting
from keras_prune_kit.tflite.shrinking.packing import indices, kind, pack, unpack
from keras_prune_kit.tflite.unpacking import store_in_bytes

PICTURES = 20_000
# Of the networks of `compression_table.py`, and of those of `one_shot_models.py`.
EPOCHS = {
    "tiny_cnn": (3, 0, 8),
    "lenet_300_100": (3, 0, 8),
    "lenet_5": (2, 2, 4),
    "mnist_cnn": (2, 2, 5),
}
EPOCHS_BEFORE = 6
# The network, the part of its channels that leave, the zeros, the bits.
AT_ONCE = {
    "mnist_cnn_95": ("mnist_cnn", 0, 0.95, None),
    "resnet8_80": ("resnet8", 0, 0.8, None),
    "resnet8_80_4bit": ("resnet8", 0, 0.8, 4),
    "resnet8_half_60": ("resnet8", 0.5, 0.6, None),
}
ROWS = (*EPOCHS, *AT_ONCE)
TESTED = 500
TYPES = schema.TensorType
SHRINK = sys.modules[shrink.__module__]
# How each of the exporter's ways is left out.
STEPS = {
    "no reshape": (SHRINK, "drop_flattening", lambda model: None),
    "order of channels": (sorting, "by_similarity", sorting.by_count),
    "order of constants": (SHRINK, "arrange_buffers", lambda model: None),
}


def converted(name, options):
    """The file as the converter gives it, and inputs for it."""
    path = options.models / f"{name}.tflite"
    network = AT_ONCE[name][0] if name in AT_ONCE else "lenet_5"
    data = one_shot_models.NETWORKS[network].load(options.data)
    if not path.exists():
        options.models.mkdir(parents=True, exist_ok=True)
        make = at_once if name in AT_ONCE else trained
        with mock.patch.object(convert, "shrink", lambda content: content):
            make(name, data, options).save(path)
    return path.read_bytes(), data.test[0][:TESTED].astype("float32")


def trained(name, _, options):
    row = compression_table.ROWS[name]
    row = replace(row, recipe=replace(row.recipe, epochs=EPOCHS[name]))
    keras.utils.set_random_seed(0)
    data = compression_table.load_mnist(options.data, row.recipe)
    steps = -(-PICTURES // compression_table.BATCH)
    data = replace(data, train=data.train.take(steps), steps=steps)
    baseline = compression_table.train_baseline(keras, row, data, options.data)
    return compression_table.compress(row, baseline, data)


def at_once(name, data, options):
    network, channels, zeros, bits = AT_ONCE[name]
    short = replace(one_shot_models.NETWORKS[network], epochs=EPOCHS_BEFORE)
    few = replace(data, train=tuple(part[:PICTURES] for part in data.train))
    with mock.patch.dict(one_shot_models.NETWORKS, {network: short}):
        model = one_shot_models.trained(network, 0, few, options.data, options.models)
    if channels:
        model = kpk.remove_channels(model, channels)
    samples = few.train[0][:256].astype("float32")
    model = kpk.prune_at_once(model, zeros, data=samples, weight_bits=bits)
    return kpk.export_tflite(
        model, quantization="int8", representative_data=samples[:100]
    )


def shrunk(content, without=()):
    with ExitStack() as stack:
        for step in without:
            stack.enter_context(mock.patch.object(*STEPS[step]))
        return shrink(content)


def changed(content, change):
    model = unpack(content)
    change(model)
    return pack(model)


def in_bytes(model):
    """Weights of four bits in a byte each."""
    for tensor in packing.tensors(model):
        if tensor.type == TYPES.INT4:
            store_in_bytes(model, tensor)


def biases_of(model):
    """The bias of each layer in integers, and how many of its steps an output's has."""
    graph = model.subgraphs[0]
    layers = (*sorting.LAYERS, packing.Operator.DEPTHWISE_CONV_2D)
    for operator in graph.operators:
        inputs = indices(operator.inputs)
        if kind(model, operator) in layers and len(inputs) > 2 and inputs[2] >= 0:
            bias, output = graph.tensors[inputs[2]], graph.tensors[operator.outputs[0]]
            if bias.type == TYPES.INT32:
                yield bias, output.quantization.scale[0] / bias.quantization.scale


def round_biases(model):
    """Biases to multiples that move no output by more than an eighth of its step."""
    for bias, steps in biases_of(model):
        buffer = model.buffers[bias.buffer]
        values = buffer.data.view("<i4")
        multiple = np.maximum(2.0 ** np.floor(np.log2(np.maximum(steps / 4, 1))), 1)
        coarse = np.where(
            np.abs(values) <= steps / 8, 0, np.rint(values / multiple) * multiple
        )
        buffer.data = coarse.astype("<i4").view(np.uint8)


def one_bias_scale(model):
    for bias, _ in biases_of(model):
        quantization = bias.quantization
        quantization.scale = quantization.scale[:1]
        quantization.zeroPoint = quantization.zeroPoint[:1]


def coarse_scales(model):
    """Scales of channels with a mantissa of 10 bits: within 0.1 %."""
    for tensor in packing.tensors(model):
        quantization = tensor.quantization
        if quantization is not None and np.size(quantization.scale) > 1:
            mantissa, exponent = np.frexp(quantization.scale)
            rounded = np.ldexp(np.rint(mantissa * 2**10) / 2**10, exponent)
            quantization.scale = rounded.astype("float32")


def one_shape(model):
    """No open batch size but at the inputs and outputs."""
    graph = model.subgraphs[0]
    ends = {*indices(graph.inputs), *indices(graph.outputs)}
    for index, tensor in enumerate(graph.tensors):
        if index not in ends:
            tensor.shapeSignature = None


def short_names(model):
    for tensor in packing.tensors(model):
        parts = (tensor.name or b"").split(b"/")
        tensor.name = b"/".join(parts[1:-1]) or tensor.name


class Sharing(flatbuffers.Builder):
    """A builder that writes equal vectors and strings once."""

    def __init__(self):
        super().__init__()
        self.written = {}

    def CreateString(self, s, *options):
        return self._once(("", s), lambda: super(Sharing, self).CreateString(s))

    def CreateNumpyVector(self, x):
        write = super().CreateNumpyVector
        return self._once((x.dtype.str, x.tobytes()), lambda: write(x))

    def _once(self, key, write):
        if key not in self.written:
            self.written[key] = write()
        return self.written[key]


def with_shared_vectors(content):
    with mock.patch.object(flatbuffers, "Builder", Sharing):
        return pack(unpack(content))


OTHERS = {
    "weights of 4 bits as bytes": in_bytes,
    "biases within 1/8 step": round_biases,
    "scales within 0.1 %": coarse_scales,
    "one scale for all biases of a layer": one_bias_scale,
    "batch size open at the ends only": one_shape,
    "names without the model's": short_names,
}


INEXACT = ("biases within 1/8 step", "scales within 0.1 %")


def moves(outputs, content, x):
    """What a change of the file does to the outputs."""
    others = kpk.TFLiteModel(content).predict(x)
    return {
        "largest_change": round(float(np.abs(others - outputs).max()), 4),
        "other_classes": int((others.argmax(-1) != outputs.argmax(-1)).sum()),
        "inputs": len(x),
    }


def parts_of(content):
    """The gzipped bytes of a file by what they are for."""
    deflate = zlib.compressobj(9, wbits=-15)
    deflated = deflate.compress(content) + deflate.flush()
    bits = bits_per_byte(deflated)
    labels = np.array(["graph"] * len(content), object)
    for constant in constants(content):
        labels[constant.position] = "kernels" if constant.is_weight else "biases"
    address = np.frombuffer(content, np.uint8).ctypes.data
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    for index in range(graph.TensorsLength()):
        quantization = graph.Tensors(index).Quantization()
        if quantization is not None and quantization.ScaleLength():
            scales = quantization.ScaleAsNumpy()
            start = scales.ctypes.data - address
            labels[start : start + scales.nbytes] = "scales"
    found = {label: bits[labels == label].sum() / 8 for label in sorted({*labels})}
    found["deflate's tables, gzip's header"] = len(deflated) + 18 - sum(found.values())
    return {label: round(size) for label, size in found.items()}


def run(name, options):
    content, x = converted(name, options)
    before, after = shrunk(content, STEPS), shrunk(content)
    base, size = kpk.gzip_bytes(before), kpk.gzip_bytes(after)
    outputs = kpk.TFLiteModel(content).predict(x)
    assert np.array_equal(outputs, kpk.TFLiteModel(after).predict(x))

    def percent(file, whole):
        return round(100 * (kpk.gzip_bytes(file) - whole) / whole, 2)

    alone = {s: shrunk(content, [t for t in STEPS if t != s]) for s in STEPS}
    others = {name: changed(after, change) for name, change in OTHERS.items()}
    moved = {name: moves(outputs, others[name], x) for name in INEXACT}
    others["equal vectors and names once"] = with_shared_vectors(after)
    return {
        "row": name,
        "converted_gzip_bytes": kpk.gzip_bytes(content),
        "before_gzip_bytes": base,
        "gzip_bytes": size,
        "bound_bytes": round(kpk.entropy_bound(after).bound_bytes),
        "encoders": {
            e: kpk.compressed_bytes(after, e) for e in ("zopfli", "lzma", "bz2")
        },
        "zopfli_before": kpk.compressed_bytes(before, "zopfli"),
        "percent": {"all three": percent(after, base)}
        | {step: percent(file, base) for step, file in alone.items()},
        "others_percent": {name: percent(file, size) for name, file in others.items()},
        "moved": moved,
        "parts": parts_of(after),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--out", type=Path, help="a .jsonl file to add lines to")
    options = parser.parse_args()
    for name in options.rows:
        line = json.dumps(run(name, options))
        print(line, flush=True)
        if options.out:
            with options.out.open("a") as file:
                file.write(line + "\n")


if __name__ == "__main__":
    main()
