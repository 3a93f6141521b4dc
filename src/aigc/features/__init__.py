"""Feature extractors: from pictures to the features that metrics compare."""
