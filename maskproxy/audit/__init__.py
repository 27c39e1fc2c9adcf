"""Records of what happened: their fields and their canonical bytes."""
