"""A fleet under load: arrivals, batching, and the load at which speculation stops paying."""
