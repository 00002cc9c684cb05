"""Alert rules: what breaches, when an alert opens, and when it resolves."""
