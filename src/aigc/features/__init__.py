"""Image to feature: what the metrics look through."""
