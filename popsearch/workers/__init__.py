"""Where trials run: so far in this process; one module for each place."""
