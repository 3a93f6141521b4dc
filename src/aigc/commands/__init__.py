"""The user's commands, one file each of the command's name: `add_parser` declares its options, `run` calls the rooms."""
