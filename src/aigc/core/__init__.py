"""What every other room stands on: configuration, files, processes, hashes, the numeric switches."""
