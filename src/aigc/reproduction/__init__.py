"""The pipeline made again in another checkout, and two results compared."""
