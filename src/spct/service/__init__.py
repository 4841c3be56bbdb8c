"""Judging as a service."""
