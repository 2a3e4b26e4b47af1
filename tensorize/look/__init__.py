"""Look at a source before anything is made of it: what it is, what it holds, and the command that prepares it."""
