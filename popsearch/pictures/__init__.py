"""Pictures of a study, and the report that a person can mail."""
