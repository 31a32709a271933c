"""One turn of the wheel on every real service, with real time and a client that never stops."""
