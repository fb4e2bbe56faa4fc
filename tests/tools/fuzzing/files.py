"""Files that were cut off, changed or swapped, and who reads them."""

import io
import json
import zipfile

import hypothesis.strategies as st

import keras_prune_kit as kpk
from fuzzing.fixtures import FILES


def _compare(f, path):
    kpk.compare({"it": path}, f.x, f.y, latency_runs=1)


def _run(f, path):
    kpk.TFLiteModel(path).evaluate(f.x, f.y)


def _policy(f, path):
    with open(path, "rb") as file:
        try:
            data = json.loads(file.read())
        except ValueError:  # Python says so, not the package.
            return
    kpk.PrunePolicy.from_dict(data).plan(f.model)


READERS = {
    "compare(path)": (("model.keras", "model.h5", "model.tflite"), _compare),
    "CompressionHyperModel(path)": (
        ("model.keras", "model.h5"),
        lambda f, path: kpk.CompressionHyperModel(path, quantization=("none",)),
    ),
    "TFLiteModel(path)": (("model.tflite",), _run),
    "sparsity_report(path)": (
        ("model.tflite",),
        lambda f, path: kpk.sparsity_report(path),
    ),
    "entropy_bound(path)": (
        ("model.tflite",),
        lambda f, path: kpk.entropy_bound(path),
    ),
    "PrunePolicy.from_dict(file)": (("policy.json",), _policy),
    "tfmot.load(path)": (
        ("model.keras", "model.h5"),
        lambda f, path: kpk.tfmot.load(path),
    ),
}

_WHERE = st.floats(0, 1, exclude_max=True)
DAMAGE = st.one_of(
    st.tuples(st.just("cut"), _WHERE),
    st.tuples(
        st.just("flip"),
        st.lists(st.tuples(_WHERE, st.integers(0, 7)), min_size=1, max_size=8),
    ),
    st.tuples(st.just("zero"), _WHERE, st.integers(1, 64)),
    st.tuples(st.just("flip inside"), _WHERE, st.integers(0, 7)),
    st.tuples(
        st.just("text"), _WHERE, st.sampled_from(['"', "{", "-1", "null", "9e9"])
    ),
    st.tuples(st.just("other"), st.sampled_from(FILES)),
    st.tuples(st.just("empty")),
)


def damaged(files, name, damage):
    """The content of a file after some damage."""
    content = bytearray(files[name])
    how, *details = damage
    at = int(details[0] * len(content)) if isinstance(details[:1], float) else 0
    if how == "cut":
        return bytes(content[: int(details[0] * len(content))])
    if how == "flip":
        for where, bit in details[0]:
            content[int(where * len(content))] ^= 1 << bit
    if how == "zero":
        at = int(details[0] * len(content))
        content[at : at + details[1]] = bytes(len(content[at : at + details[1]]))
    if how == "text":
        at = int(details[0] * len(content))
        content[at : at + 1] = details[1].encode()
    if how == "flip inside":
        return _flipped_inside(bytes(content), *details)
    if how == "other":
        return files[details[0]]
    return b"" if how == "empty" else bytes(content)


def _flipped_inside(content, where, bit):
    """Flips a bit of a file in an archive, whose checksum then fits again."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return damaged({"it": content}, "it", ("flip", [(where, bit)]))
    written = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(written, "w") as copy,
    ):
        parts = {name: bytearray(source.read(name)) for name in source.namelist()}
        chosen = sorted(parts)[int(where * len(parts))]
        at = int(where * 7919 % 1 * len(parts[chosen]))
        parts[chosen][at] ^= 1 << bit
        for name, part in parts.items():
            copy.writestr(name, bytes(part))
    return written.getvalue()
