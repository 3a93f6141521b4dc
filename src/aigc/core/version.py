"""The project's version, which is written into what it makes."""

VERSION = "0.1.0"
