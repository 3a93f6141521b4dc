"""What goes in: sources, the manifest, its expectations, the splits."""
