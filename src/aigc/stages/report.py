"""report: the HTML report, and the overview picture that the README shows."""

from aigc.reporting import report


def run() -> None:
    report.write()
