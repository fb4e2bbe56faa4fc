"""The inputs that kernels are multiplied by, seen in a pass over a sample of data.

`layouts` and `patches` cut rows of inputs out of what a layer receives, `kernels` finds
the kernels whose layers are understood, `model_inputs` checks the data, `means` and
`scoring` serve the criteria that need inputs.
"""
