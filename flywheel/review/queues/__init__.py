"""The local review queue, the terminal and Label Studio's task format."""
