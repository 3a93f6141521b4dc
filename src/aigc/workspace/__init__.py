"""The checkout that a command works in: its files, its git repository, its machine. No stage depends on this room."""
