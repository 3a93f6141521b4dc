"""Blocks that more than one method uses."""
