"""`make soak`: many events through three brokers into a lake in an object store, with kills."""
