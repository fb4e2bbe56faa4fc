"""Measurements of models and files: size, sparsity, entropy and metrics."""
