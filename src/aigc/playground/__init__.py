"""`aigc play`: a page on which a person tries trained models in a browser."""
