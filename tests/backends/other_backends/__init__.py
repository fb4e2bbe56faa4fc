"""Checks of processes with another Keras backend, run by test_other_backends_export."""
