"""Bad input for every public function, for files and for the command line."""

from fuzzing.cases import Outcome, cases, run, target_names

__all__ = ["Outcome", "cases", "run", "target_names"]
