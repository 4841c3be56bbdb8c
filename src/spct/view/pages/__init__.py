"""The pages: one file each, a function from a request to an answer, and the template of the same name."""
