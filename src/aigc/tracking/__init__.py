"""What MLflow remembers of a run, shows in its UI and serves. The only room that imports mlflow."""
