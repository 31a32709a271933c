"""Two quarters and a short third period of one workload, driven through Dagster's own assets."""
