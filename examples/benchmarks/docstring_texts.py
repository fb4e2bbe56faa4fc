"""Docstrings, told apart by the package that they are from.

The texts are in the source of eight installed packages, which are not imported. Each is
the first 64 words of a docstring, without paragraphs of code and without the packages'
names. All texts of a file are in one of training, validation and test data; one that is
in two packages is left out, one that is twice in one is taken once. The texts are the
same as long as the packages are: `versions()` says which these are.
"""

import ast
import importlib.util
import re
from collections import Counter
from importlib import metadata
from pathlib import Path

import numpy as np

# The folders that are read, and the distributions that they are from.
PACKAGES = {
    "numpy": "numpy",
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "pandas": "pandas",
    "keras": "keras",
    "tensorflow": "tensorflow",
    "torch": "torch",
    "jax": "jax",
}
LENGTH = 64  # words of a text
VOCABULARY = 2048
PADDING, UNKNOWN = 0, 1
_NAMES = {*PACKAGES, "np", "pd", "tf", "jnp", "lax", "pytorch", "scikit", "learn"}
# Tests, and TensorFlow's own copy of Keras.
_LEFT_OUT = re.compile(r"/(tests?|testing|_vendor|third_party)/|tensorflow/.*keras/")
_FEWEST = 20  # words of a text


def load(counts, seed, folders=None):
    """Train, validation and test data of at most so many texts of each package.

    Args:
        counts: The largest numbers of texts of a package in the three.
        seed: Of the order of files, and of texts.
        folders: A folder of sources for each class. Defaults to the eight packages.

    Returns:
        Three times `(x, y)`: numbers of words `(n, 64)` and of classes. Words are
        numbered by how often the training data have them.
    """
    folders = [folder_of(name) for name in PACKAGES] if folders is None else folders
    rng = np.random.default_rng(seed)
    sources = unambiguous([texts_by_file(folder) for folder in folders])
    by_class = [split(files, counts, rng) for files in sources]
    parts = []
    for texts in zip(*by_class, strict=True):
        pairs = [(text, label) for label, own in enumerate(texts) for text in own]
        parts.append([pairs[number] for number in rng.permutation(len(pairs))])
    numbers = numbered(text for text, _ in parts[0])
    return [as_arrays(pairs, numbers) for pairs in parts]


def versions():
    """The versions of the packages whose documentation is read."""
    return {name: metadata.version(name) for name in PACKAGES.values()}


def folder_of(package):
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(
            f"The texts are from the documentation of {package}, which is not "
            f"installed: pip install {PACKAGES[package]}"
        )
    return Path(next(iter(spec.submodule_search_locations)))


def texts_by_file(folder):
    """The texts of each file under a folder, without repetitions."""
    seen, files = set(), []
    for path in sorted(Path(folder).rglob("*.py")):
        name = f"/{Path(folder).name}/{path.relative_to(folder).as_posix()}"
        if _LEFT_OUT.search(name):
            continue
        found = dict.fromkeys(texts_of(path.read_text("utf-8", "replace")))
        new = [text for text in found if text not in seen]
        seen.update(new)
        if new:
            files.append(new)
    return files


def texts_of(source):
    """The words of each docstring of a module that is long enough."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return
    for node in ast.walk(tree):
        if isinstance(node, documented):
            words = words_of(ast.get_docstring(node) or "")
            if len(words) >= _FEWEST:
                yield words


def words_of(docstring):
    """Its first words in lower case, but for code and the names of the packages."""
    prose = [
        paragraph
        for paragraph in re.split(r"\n\s*\n", docstring.lower())
        if ">>>" not in paragraph and "```" not in paragraph
    ]
    words = re.findall(r"[a-z]+", " ".join(prose))
    return tuple([word for word in words if word not in _NAMES][:LENGTH])


def unambiguous(classes):
    """The files of each class without the texts that another class has, too."""
    owners = Counter()
    for files in classes:
        owners.update({text for texts in files for text in texts})
    return [
        [[text for text in texts if owners[text] == 1] for texts in files]
        for files in classes
    ]


def split(files, counts, rng):
    """Texts for each part, from files of its own; their order is random.

    The parts get files in proportion to the numbers of texts that are asked for.
    """
    order = rng.permutation(len(files))
    bounds = np.cumsum(counts)[:-1] * len(files) // sum(counts)
    parts = []
    for chosen, count in zip(np.split(order, bounds), counts, strict=True):
        texts = [text for number in chosen for text in files[number]]
        parts.append([texts[n] for n in rng.permutation(len(texts))[:count]])
    return parts


def numbered(texts):
    """The numbers of the most frequent words, from two on."""
    frequent = Counter(word for text in texts for word in text)
    words = sorted(frequent, key=lambda word: (-frequent[word], word))
    return {word: n for n, word in enumerate(words[: VOCABULARY - 2], start=2)}


def as_arrays(pairs, numbers):
    x = np.full((len(pairs), LENGTH), PADDING, "int32")
    for row, (text, _) in zip(x, pairs, strict=True):
        row[: len(text)] = [numbers.get(word, UNKNOWN) for word in text]
    return x, np.array([label for _, label in pairs])
