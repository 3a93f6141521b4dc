"""Many trainings of one method over a space of settings. Optuna chooses and records; DVC runs each trial in a
git worktree of its own. No stage depends on it.
"""
