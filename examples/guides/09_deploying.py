# %% [markdown]
# # Deploying: Python, C++, a phone, a microcontroller
#
# **At the end you have** a pruned int8 .tflite, its contract written down (names,
# shapes, scales, operators), the code that runs it on four kinds of device, and test
# vectors with which to prove that the device computes what you measured. The Python of
# this notebook runs in half a minute. The rest is to be copied: a compiler has checked
# the C++ against the headers of LiteRT and TFLite Micro of August 2026; the Kotlin
# follows LiteRT's documentation and was not compiled. Neither has run on a device.

# %%
from pathlib import Path

import keras
import numpy as np
from ai_edge_litert.interpreter import Interpreter

import keras_prune_kit as kpk
from keras_prune_kit.digits import load_digits

keras.utils.set_random_seed(0)

# %% [markdown]
# ## 1. Two files
#
# One with float inputs and outputs, convenient on phones and desktops; and one in
# integers from end to end, for microcontrollers and accelerators. The weights are the
# same.

# %%
(x, y), test = load_digits()
held = np.arange(len(x)) % 5 == 0
train, validation = (x[~held], y[~held]), (x[held], y[held])
model = keras.Sequential(
    [
        keras.Input((8, 8, 1), name="image"),
        keras.layers.Conv2D(16, 3, activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(32, activation="relu"),
        keras.layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(*train, epochs=15, verbose=0)
model.fit(*train, epochs=15, verbose=0, callbacks=[kpk.PruningCallback(0.8)])
options = {"quantization": "int8", "representative_data": train[0][:200]}
float_io = kpk.export_tflite(model, "digits.tflite", **options)
integer_io = kpk.export_tflite(model, "digits_int8.tflite", io_dtype="int8", **options)
for file in (float_io, integer_io):
    print(f"{file.evaluate(*test):.4f} {file.gzip_bytes:,} bytes gzipped", file)

# %% [markdown]
# ## 2. The contract
#
# Write down what the device has to know. Real value = (integer - zero point) x scale.

# %%
for spec in (*integer_io.inputs, *integer_io.outputs):
    print(f"{spec}: scale {spec.scale:.6f}, zero point {spec.zero_point}")

# %% [markdown]
# Before anything else comes what the *model* expects: these images are 0 to 1, one
# channel, rows from the top. Most faults of deployed models are here: 0 to 255 instead
# of 0 to 1, BGR instead of RGB, another way to resize. A layer in the model that does
# it (`Rescaling`, [`Normalization`](05_tabular_data.ipynb)) cannot be forgotten.
#
# ## 3. Python, with the runtime alone
#
# `pip install ai-edge-litert`: no TensorFlow, no Keras, no kpk on the device.

# %%
interpreter = Interpreter("digits_int8.tflite")
interpreter.allocate_tensors()
given, got = interpreter.get_input_details()[0], interpreter.get_output_details()[0]


def classify(image):
    """The probabilities of one image `(8, 8, 1)`, 0 to 1, by the integer file."""
    scale, zero = given["quantization"]
    steps = np.clip(np.round(image / scale) + zero, -128, 127).astype("int8")
    interpreter.set_tensor(given["index"], steps[None])
    interpreter.invoke()
    scale, zero = got["quantization"]
    return (interpreter.get_tensor(got["index"])[0].astype("float32") - zero) * scale


image = test[0][0]
print(np.round(classify(image), 3))
expected = integer_io.predict(test[0][:100])
found = np.stack([classify(image) for image in test[0][:100]])
print(f"differs from TFLiteModel.predict by {np.abs(found - expected).max():.1g}")

# %% [markdown]
# ## 4. Test vectors for the other devices
#
# Raw bytes are read by every language. Send ten inputs and the expected outputs along,
# and let the device compare: outputs may differ by a step or two between kernels,
# classes should not.

# %%
scale, zero = given["quantization"]
vectors = np.clip(np.round(test[0][:10] / scale) + zero, -128, 127).astype("int8")
Path("inputs.bin").write_bytes(vectors.tobytes())
Path("outputs.bin").write_bytes(expected[:10].astype("<f4").tobytes())
print(vectors.nbytes, "bytes in, classes", expected[:10].argmax(1))

# %% [markdown]
# ## 5. A phone: Kotlin on Android
#
# ```kotlin
# // build.gradle.kts; the older Interpreter API runs the same file
# dependencies { implementation("com.google.ai.edge.litert:litert:2.3.0") }
# android { androidResources { noCompress += "tflite" } }  // to be mapped, not copied
#
# // Once, not for each image: creating it is the slow part.
# val options = CompiledModel.Options(Accelerator.CPU)
# val model = CompiledModel.create(context.assets, "digits.tflite", options)
# val inputs = model.createInputBuffers()
# val outputs = model.createOutputBuffers()
#
# // pixels: a FloatArray of 64, 0 to 1, rows from the top
# inputs[0].writeFloat(pixels)
# model.run(inputs, outputs)
# val probabilities = outputs[0].readFloat()
# val digit = probabilities.indices.maxBy { probabilities[it] }
# ```
#
# `noCompress` is for the file in the app package, so that it can be mapped into memory.
# The store compresses the download all the same: that is where the zeros pay. On the
# phone's storage the file has its plain size.
#
# ## 6. C++ on a desktop or a server
#
# ```cpp
# #include <algorithm>
# #include <memory>
# // In LiteRT's own repository: "tflite/interpreter.h" and so on.
# #include "tensorflow/lite/interpreter.h"
# #include "tensorflow/lite/kernels/register.h"
# #include "tensorflow/lite/model_builder.h"
#
# auto model = tflite::FlatBufferModel::BuildFromFile("digits.tflite");
# tflite::ops::builtin::BuiltinOpResolver resolver;  // built-in operators suffice
# std::unique_ptr<tflite::Interpreter> interpreter;
# tflite::InterpreterBuilder(*model, resolver)(&interpreter);
# if (!interpreter || interpreter->AllocateTensors() != kTfLiteOk) return 1;
#
# std::copy(pixels, pixels + 64, interpreter->typed_input_tensor<float>(0));
# if (interpreter->Invoke() != kTfLiteOk) return 1;
# const float* output = interpreter->typed_output_tensor<float>(0);
# int digit = std::max_element(output, output + 10) - output;
# ```
#
# ## 7. A microcontroller: TFLite Micro
#
# Most have no file system, so the file becomes an array in flash, and only the
# operators in use are linked. Both can be written by Python:

# %%
content = integer_io.bytes
rows = [content[start : start + 12] for start in range(0, len(content), 12)]
body = "\n".join("  " + " ".join(f"0x{byte:02x}," for byte in row) for row in rows)
Path("digits_model.h").write_text(
    f"alignas(16) const unsigned char digits_model[] = {{\n{body}\n}};\n"
    f"const unsigned int digits_model_len = {len(content)};\n"
)
operators = sorted(set(integer_io.operators))
print(f"{len(content):,} bytes of flash, {len(operators)} operators: {operators}")

# %% [markdown]
# ```cpp
# #include <algorithm>
# #include <cmath>
# #include "tensorflow/lite/micro/micro_interpreter.h"
# #include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
# #include "tensorflow/lite/schema/schema_generated.h"
# #include "digits_model.h"
#
# constexpr int kArenaSize = 16 * 1024;  // shrink it: arena_used_bytes() tells
# alignas(16) static uint8_t arena[kArenaSize];
#
# // One line an operator of the list above.
# static tflite::MicroMutableOpResolver<3> resolver;
# resolver.AddConv2D();
# resolver.AddFullyConnected();
# resolver.AddSoftmax();
# static tflite::MicroInterpreter interpreter(
#     tflite::GetModel(digits_model), resolver, arena, kArenaSize);
# if (interpreter.AllocateTensors() != kTfLiteOk) return;
#
# TfLiteTensor* in = interpreter.input(0);
# for (int i = 0; i < 64; ++i) {
#   float step = std::round(pixels[i] / in->params.scale) + in->params.zero_point;
#   in->data.int8[i] = static_cast<int8_t>(std::clamp(step, -128.0f, 127.0f));
# }
# if (interpreter.Invoke() != kTfLiteOk) return;
# const int8_t* out = interpreter.output(0)->data.int8;  // the largest is the class
# ```
#
# Flash is not compressed, so zeros save nothing there. What does: int8 (a quarter),
# `weight_bits=4` where the runtime has int4 kernels, and above all fewer channels,
# which also saves memory and time:

# %%
thinner = kpk.remove_channels(model, 0.5, multiple_of=8)
thinner.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
thinner.fit(*train, epochs=10, verbose=0)
small = kpk.export_tflite(thinner, io_dtype="int8", **options)
print(f"{len(small.bytes):,} bytes of flash at {small.evaluate(*test):.4f}")

# %% [markdown]
# ## What can go wrong
#
# - **All outputs are equal, or nonsense.** The input is not scaled as in training. Feed
#   the test vectors first.
# - **"Didn't find op for builtin opcode".** The resolver lacks an operator: print the
#   list again. Microcontrollers have fewer operators than phones; the export warns of
#   those that stay in float.
# - **An int8 file on a GPU delegate** is turned into floats there: use `"float16"`.
# - **A recurrent model** has a batch of one, and a fused LSTM keeps its state between
#   runs: call `reset_all_variables()` (`ResetVariableTensors()` in C++) before each
#   sequence.
# - **Texts.** Tokenize on the device; the file begins at the integers
#   ([text](04_text_and_attention.ipynb)).
# - **Slower than expected.** Measure on the device with LiteRT's `benchmark_model`, and
#   look at a single thread first. Zeros do not make it faster.
#
# ## Next
#
# [What the figures mean](10_what_the_figures_mean.ipynb). Reference:
# `help(kpk.export_tflite)`, `help(kpk.TFLiteModel)`, `help(kpk.remove_channels)`.
