"""What a family of methods shares; the methods themselves are the pages beside this folder."""
