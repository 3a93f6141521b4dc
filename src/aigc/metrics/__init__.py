"""Pure functions over arrays: numpy and scipy alone."""
