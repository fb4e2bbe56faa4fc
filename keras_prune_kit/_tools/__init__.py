"""Helpers for all packages; they import neither Keras nor TensorFlow."""
