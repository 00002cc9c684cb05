"""Events: what services publish, and how it becomes columns.

Importing this package costs nothing; ``streams.events.schema`` needs msgspec alone, the columns and
the intakes need numpy.
"""
