"""Tools that every room may use; they know neither Keras nor TensorFlow."""
