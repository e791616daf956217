"""The command line: verbs of a kind in a file, each thin: its help and how its texts are read."""
