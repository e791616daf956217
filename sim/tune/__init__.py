"""Which draft, gamma and batch of a server to measure next, and what to paste at the end."""
