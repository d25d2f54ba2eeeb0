"""Several of the best models, weighted so that together they err less than the best alone."""
