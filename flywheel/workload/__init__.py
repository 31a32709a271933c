"""The workload file: its model and sections, taxonomy and edits, answers, prompt and periods."""
