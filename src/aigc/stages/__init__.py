"""The pages of the DAG: one stage of dvc.yaml, one file of the same name."""
