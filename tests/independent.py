"""What a saved model says and how many zeros it has: Keras, numpy and LiteRT alone."""

import re

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

_TYPES = {
    schema.TensorType.FLOAT32: np.float32,
    schema.TensorType.INT8: np.int8,
    schema.TensorType.INT16: np.int16,
    schema.TensorType.INT32: np.int32,
    schema.TensorType.INT64: np.int64,
}


def keras_file(K, path, objects):
    return K.models.load_model(
        path, custom_objects=dict(objects), compile=False, safe_mode=False
    )


def tflite_outputs(path, x, like):
    """The outputs of a .tflite for all samples, in a nest like that of the last."""
    interpreter = Interpreter(str(path), num_threads=1)
    arrays = _in_order(x, interpreter.get_input_details())
    rows = interpreter.get_input_details()[0]["shape_signature"][0]
    rows = len(arrays[0]) if rows == -1 else rows
    parts = [
        _run(interpreter, [array[start : start + rows] for array in arrays])
        for start in range(0, len(arrays[0]), rows)
    ]
    outputs = list(map(np.concatenate, zip(*parts, strict=True)))
    if isinstance(like, dict) and len(like) == 1:
        return dict(zip(like, outputs, strict=True))
    if isinstance(like, dict):
        names = [_plain(item["name"]) for item in interpreter.get_output_details()]
        return {key: outputs[names.index(_plain(key))] for key in like}
    return outputs if isinstance(like, list | tuple) else outputs[0]


def tflite_zeros(path):
    """Name, size and number of zeros of each constant that is stored by whole bytes."""
    model = schema.Model.GetRootAs(path.read_bytes(), 0)
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        for tensor in map(graph.Tensors, range(graph.TensorsLength())):
            data = model.Buffers(tensor.Buffer()).DataAsNumpy()
            if tensor.Type() not in _TYPES or not isinstance(data, np.ndarray):
                continue  # What is computed when it runs, and texts.
            stored, steps = data.view(_TYPES[tensor.Type()]), tensor.Quantization()
            zero = steps.ZeroPoint(0) if steps and steps.ZeroPointLength() else 0
            name = (tensor.Name() or b"").decode().partition(";")[0]
            yield name, stored.size, int(np.sum(stored == zero))


def accuracy(y, p):
    """The fraction of samples whose class is the likeliest; 0 and 1 where p is one."""
    classes = p[..., 0] > 0.5 if p.shape[-1] == 1 else p.argmax(-1)
    return float(np.mean(classes == y.reshape(classes.shape)))


def mean_absolute_error(y, p):
    return float(np.mean(np.abs(y.reshape(p.shape).astype("float64") - p)))


def _run(interpreter, arrays):
    details = interpreter.get_input_details()
    for item, array in zip(details, arrays, strict=True):
        interpreter.resize_tensor_input(item["index"], array.shape)
    interpreter.allocate_tensors()
    for item, array in zip(details, arrays, strict=True):
        interpreter.set_tensor(item["index"], array.astype(item["dtype"]))
    interpreter.reset_all_variables()  # An LSTM would remember the sample before.
    interpreter.invoke()
    outputs = interpreter.get_output_details()
    return [interpreter.get_tensor(item["index"]) for item in outputs]


def _in_order(x, details):
    if not isinstance(x, dict):
        return x if isinstance(x, list | tuple) else [x]
    plain = {_plain(key): array for key, array in x.items()}
    return [plain[_plain(item["name"])] for item in details]


def _plain(name):
    return re.sub(r"\W", "_", name)
