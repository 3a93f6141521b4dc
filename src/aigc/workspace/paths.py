"""Files of the project's root that commands read or write and no stage does."""

from pathlib import Path

PIPELINE = Path("dvc.yaml")
LOCK = Path("dvc.lock")
LOCK_ORIGIN = Path("lock_origin.json")
RUNS_PAGE = Path("reports/runs.html")
SWEEPS = Path(".checkpoints/sweeps")  # worktrees of trials, and the database of one worker
SWEEP_PAGES = Path("reports/sweeps")
RECIPES = Path("recipes")  # patches of params.yaml for `aigc use`
