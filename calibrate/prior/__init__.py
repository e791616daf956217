"""What is expected of a pair that nobody has measured: laws fitted to many others."""
