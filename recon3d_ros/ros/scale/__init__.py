"""Scale of one camera's depth, measured from topics and tf."""
