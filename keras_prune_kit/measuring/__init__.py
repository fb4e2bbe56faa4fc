"""Measuring models and files: size, sparsity, entropy, and metrics side by side."""
