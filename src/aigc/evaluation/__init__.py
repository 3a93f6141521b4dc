"""The measurements of pictures that the stages and `aigc evaluate` share."""
