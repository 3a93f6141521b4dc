"""The loop that trains every method, and what it stands on."""
