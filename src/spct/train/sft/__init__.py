"""Stage 1: supervised fine-tuning on kept judgments."""
