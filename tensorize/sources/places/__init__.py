"""Places elsewhere: web servers and object stores, read by ranges, with new tries for what may pass."""
