"""Wire shapes only: what comes in, what goes out, and how a problem looks."""
