"""What people answered, and the one accepted answer that follows from it."""
