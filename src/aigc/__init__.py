"""Image generation as a reproducible pipeline. Start at docs/architecture.md."""
