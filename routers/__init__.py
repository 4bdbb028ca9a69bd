"""The API: each handler takes what was read, makes one call into core, and returns its result."""
