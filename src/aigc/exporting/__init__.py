"""A trained model as a folder that programs without this project can use, and its way to a hub."""
