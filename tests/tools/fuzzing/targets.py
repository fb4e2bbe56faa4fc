"""What is public, found by looking, and a valid value for each of its arguments."""

import functools
import inspect

import keras_tuner
import numpy as np

import keras_prune_kit as kpk

# Records are what functions give, and are not made by hand.
RESULTS = {"ClusteringReport", "Comparison", "CompressionReport", "EntropyBound"}
RESULTS |= {"ChannelGroup", "ChannelGroups"}
RESULTS |= {"ParetoFront", "PrunePlan", "ReconstructionReport", "SensitivityReport"}
RESULTS |= {"SparsityReport"}
RESULTS |= {"tfmot.Converted", "tfmot.LayerReport", "tfmot.Wrapped"}
# A protocol, to be implemented.
RESULTS |= {"PrunableLayer"}

# By the name of an argument, or by target and name where one name means two things.
VALID = {
    "backup_dir": lambda f: str(f.folder / "backup"),
    "baseline": lambda f: f.model,
    "batch_size": lambda f: 16,
    "channels": lambda f: 8,
    "clusters": lambda f: 4,
    "count": lambda f: 1,
    "data": lambda f: (f.x, f.y),
    "encoder": lambda f: "lzma",
    "entries": lambda f: {"a": f.tflite},
    "epochs": lambda f: 1,
    "filepath": lambda f: str(f.folder / "best.keras"),
    "final_sparsity": lambda f: 0.5,
    "fraction": lambda f: 0.5,
    "gradients": lambda f: f.x,
    "history": lambda f: {"sparsity": [0.1, 0.2], "accuracy": [0.5, 0.6]},
    "hypermodel": lambda f: f.hypermodel,
    "initial_sparsity": lambda f: 0.0,
    "item": lambda f: f.tflite,
    "loss": lambda f: 0.5,
    "moment": lambda f: "after step 1",
    "log_dir": lambda f: str(f.folder / "logs"),
    "match": lambda f: "hidden",
    "max_accuracy_drop": lambda f: 0.1,
    "max_bytes": lambda f: 1000,
    "model": lambda f: f.model,
    "of_run": lambda f: 0.5,
    "dense_model": lambda f: f.model,
    "pruned": lambda f: f.build(),
    "oracle": lambda f: keras_tuner.oracles.RandomSearchOracle(max_trials=1),
    "path": lambda f: str(f.folder / "out.png"),
    "directory": lambda f: str(f.folder / "out"),
    "policy": lambda f: kpk.ConstantSparsity(0.5),
    "products": lambda f: np.eye(len(f.x)),
    "schedule": lambda f: 0.5,
    "scores": lambda f: f.x,
    "shape": lambda f: (8, 16),
    "source": lambda f: f.path("model.tflite"),
    "sparsity": lambda f: 0.5,
    "squares": lambda f: np.ones(len(f.x)),
    "statistic": lambda f: "mean",
    "step": lambda f: 1,
    "steps_per_epoch": lambda f: 2,
    "target_sparsity": lambda f: 0.5,
    "teacher": lambda f: f.model,
    "train_data": lambda f: (f.x, f.y),
    "tuner": lambda f: str(f.folder),
    "units": lambda f: 3,
    "validation_data": lambda f: (f.x, f.y),
    "weights": lambda f: f.x,
    "x": lambda f: f.x,
    "y": lambda f: f.y,
    "Comparison.size_ratio.measurement": lambda f: f.comparison.measurements[0],
    "Comparison.to_html.path": lambda f: str(f.folder / "out.html"),
    "CompressionReport.size_ratio.stage": lambda f: f.comparison.measurements[0],
    "CompressionReport.to_html.path": lambda f: str(f.folder / "out.html"),
    "CompressionTuner.overwrite": lambda f: True,
    "CompressionTuner.directory": lambda f: str(f.folder / "search"),
    "CompressionHyperModel.channels": lambda f: (0.0, 0.5),
    "CompressionHyperModel.quantization": lambda f: ("none",),
    "Pruner.stateless_step.trainable_variables": lambda f: f.state("trainable"),
    "Pruner.stateless_step.optimizer_variables": lambda f: f.state("optimizer"),
    "prune_at_once.data": lambda f: f.x,
    "prune_at_once.weight_bits": lambda f: {".*": 4, "hidden": 8},
    "reconstruct.data": lambda f: f.x,
    "reconstruct.weight_bits": lambda f: 4,
    "reestimate_batch_norm.data": lambda f: f.x,
    "distill.data": lambda f: f.x,
    "distill.epochs": lambda f: 1,
    "PrunePolicy.from_dict.data": lambda f: kpk.PrunePolicy(0.5).to_dict(),
    "compare.y": lambda f: f.y,
    "compare.latency_runs": lambda f: 1,
    "compress.epochs": lambda f: 1,
    "compress.quantization": lambda f: "none",
    "compress.verbose": lambda f: 0,
    "export_tflite.path": lambda f: str(f.folder / "out.tflite"),
    "TFLiteModel.save.path": lambda f: str(f.folder / "out.tflite"),
    "tfmot.LoopPruning.model": lambda f: _wrapped(f),
    "tfmot.load.path": lambda f: f.path("model.keras"),
    "ParetoFront.size_ratio.trial": lambda f: f.front.trials[0],
    "needs_gradients.batch_size": lambda f: 2,
    "needs_inputs.statistic": lambda f: "squares",
}

# Objects whose methods take arguments, one for each case.
OBJECTS = {
    "Block": lambda f: kpk.Block(),
    "Channel": lambda f: kpk.Channel(),
    "Clusterer": lambda f: _started(kpk.Clusterer(f.build(), 4)),
    "ClusteringReport": lambda f: kpk.Clusterer(f.model, 4).report(),
    "Comparison": lambda f: f.comparison,
    "CompressionReport": lambda f: kpk.CompressionReport(
        f.comparison, f.model, f.tflite, f.tflite.sparsity_report(), {}
    ),
    "ConstantSparsity": lambda f: kpk.ConstantSparsity(0.5),
    "CosineDecay": lambda f: kpk.CosineDecay(0, 0.5, end_step=9),
    "Epochs": lambda f: kpk.Epochs(1),
    "Fraction": lambda f: kpk.Fraction(0.5),
    "NofM": lambda f: kpk.NofM(),
    "PolynomialDecay": lambda f: kpk.PolynomialDecay(0, 0.5, end_step=9),
    "PrunePolicy": lambda f: kpk.PrunePolicy(0.5),
    "Pruner": lambda f: _started(kpk.Pruner(f.build(), kpk.ConstantSparsity(0.5))),
    "SensitivityReport": lambda f: kpk.sensitivity(f.model, (f.x, f.y), levels=[0.5]),
    "SparsityReport": lambda f: kpk.sparsity_report(f.model),
    "TFLiteModel": lambda f: f.tflite,
    "Unstructured": lambda f: kpk.Unstructured(),
}


class Target:
    """A function, a class or a method, with its arguments."""

    def __init__(self, name, get, function):
        self.name = name
        self.get = get
        parameters = inspect.signature(function).parameters.values()
        variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        found = [p for p in parameters if p.kind not in variadic and p.name != "self"]
        self.parameters = [p.name for p in found]
        self._required = [p.name for p in found if p.default is p.empty]

    def valid(self, f, argument):
        """Valid values of the arguments that are needed, and of one more."""
        own = [name for name in self.parameters if f"{self.name}.{name}" in VALID]
        return {
            name: self._valid(name)(f) for name in {*self._required, *own} - {argument}
        }

    def missing(self):
        """The arguments that have no valid value in the table."""
        return [name for name in self._required if self._valid(name) is None]

    def _valid(self, name):
        return VALID.get(f"{self.name}.{name}", VALID.get(name))


@functools.cache
def targets():
    """All targets with arguments, by name."""
    public = {name: getattr(kpk, name) for name in kpk.__all__ if name != "tfmot"}
    public |= {f"tfmot.{name}": getattr(kpk.tfmot, name) for name in kpk.tfmot.__all__}
    found = {}
    for name, item in public.items():
        if isinstance(item, type) and issubclass(item, BaseException):
            continue
        if name not in RESULTS:
            found[name] = Target(name, lambda f, item=item: item, item)
        if name in OBJECTS:
            found |= {target.name: target for target in _methods(name, item)}
    return {name: target for name, target in found.items() if target.parameters}


def _methods(name, kind):
    for method, _ in inspect.getmembers(kind, callable):
        if not method.startswith("_") and callable(
            inspect.getattr_static(kind, method)
        ):
            get = functools.partial(_method_of, name, method)
            yield Target(f"{name}.{method}", get, getattr(kind, method))
    if name == "PrunePolicy":
        get = functools.partial(_method_of, name, "from_dict")
        yield Target(f"{name}.from_dict", get, kind.from_dict)


def _method_of(name, method, f):
    return getattr(OBJECTS[name](f), method)


def _wrapped(f):
    return kpk.tfmot.wrap(f.model, kpk.ConstantSparsity(0.5)).model


def _started(engine):
    engine.start()
    return engine
