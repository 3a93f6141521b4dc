"""report: the page that a person opens, and the picture of it that stands in the README."""

from aigc.reporting import report


def run() -> None:
    report.write()
