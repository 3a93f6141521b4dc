"""Networks, layers and augmentations that more than one method uses."""
