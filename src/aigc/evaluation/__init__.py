"""What the stages and `aigc evaluate` ask of pictures."""
