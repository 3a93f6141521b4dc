"""Generative methods, one page each; a method is imported by its name when it is needed."""
