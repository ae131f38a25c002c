"""The steps, in order. A step never imports `tables`, which moves on without it."""
