"""Predictions meet their truth: the first stage, one processor per partition."""
