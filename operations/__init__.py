"""What the commands of cli.py do. It may use everything else; nothing else may use it."""
