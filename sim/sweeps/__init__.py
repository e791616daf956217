"""One function over many settings, in parallel, resumable."""
