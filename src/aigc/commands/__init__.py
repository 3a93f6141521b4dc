"""What the user's commands do with models, pictures and the store. No stage imports this room."""
