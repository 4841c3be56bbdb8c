"""The HTTP side of the reward service. Importing it loads nothing; ``wire`` needs pydantic, the rest the extra serve."""
