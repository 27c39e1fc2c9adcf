"""Rules and decisions: the YAML document, its compiled form, and the one combining algorithm."""
