"""Bad input for every public function, for files and for the command line."""
