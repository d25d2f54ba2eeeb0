"""The first look at a table: what its columns hold, and what each says about the target."""
