"""The user's commands, a file each: `add_parser` declares the options, `run` calls the rooms."""
