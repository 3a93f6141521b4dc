"""`aigc repro`: DVC's stages side by side. No stage depends on it."""
