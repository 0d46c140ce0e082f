"""The heavy operations of generation, one folder an operation; callers import the operation, not its implementation."""
