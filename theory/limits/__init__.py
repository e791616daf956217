"""What bounds the speed-up: headroom, ceilings, sensitivities."""
