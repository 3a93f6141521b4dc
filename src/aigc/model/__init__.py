"""What a generative method is, how a trained one lies on disk, and how it is sampled. Knows no method by name."""
