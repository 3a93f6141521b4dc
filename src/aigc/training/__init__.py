"""The training loop, and what it uses: batches, the average of the weights, checkpoints."""
