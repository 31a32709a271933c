"""When is it time for a cycle: a pure policy, and the evaluation that gathers its signals."""
