"""What serving engines report, read into one schema, and what they accept, written."""
