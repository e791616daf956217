"""Records of what was measured: raw values, settings and where they come from."""
