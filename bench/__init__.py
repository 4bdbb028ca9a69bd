"""The benchmark: what a transfer costs here, beside what others take for it, in the same run."""
