"""What engines and classifiers behind HTTP share."""
