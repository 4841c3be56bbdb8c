"""Rejective fine-tuning data: sample judgments, keep those worth learning from (arXiv 2504.02495, section 3.2)."""
