"""From measurements to laws: fits of sweeps, tokens per round, counts and round times."""
