"""What a picture says of its origin, and how the picture is made again to check it."""
