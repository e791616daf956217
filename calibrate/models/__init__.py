"""Public shapes of models and devices, and what follows from them: parameters, bytes, rates."""
