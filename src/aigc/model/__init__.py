"""The interface of a generative method, a trained model on disk, and sampling. Knows no method by name."""
