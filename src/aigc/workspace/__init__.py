"""The checkout that a command works in: its files, git repository and machine. No stage depends on it."""
