"""What Dagster needs to know of Flywheel: keys, partitions, resources, outcomes, presentation."""
