"""Fixtures of the publisher's tests."""

from support.embedded import embedded

__all__ = ["embedded"]
