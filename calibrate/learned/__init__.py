"""What sweeps and speed-ups of other studies teach: how far laws miss, and what is realised."""
