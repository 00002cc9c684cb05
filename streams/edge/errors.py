"""What can go wrong where the pipeline meets Kafka.

EdgeError
  BrokerError       no broker answers
  TopicError        topics are missing or do not fit together
  StateError        a state topic holds something that cannot be read
  LedgerError       offsets do not add up
  OwnershipError    this worker may no longer own its partitions
    FencedError     the broker no longer takes this worker's transactions
  TransactionError  the broker cannot or may not be used with transactions
  StuckError        a checkpoint did not come to an end
"""


class EdgeError(RuntimeError):
    """Root of the errors that end a worker; the message says what to do."""


class BrokerError(EdgeError):
    """No broker answers."""


class TopicError(EdgeError):
    """Topics are missing or do not fit together."""


class StateError(EdgeError):
    """A state topic holds something that cannot be read."""


class LedgerError(EdgeError):
    """Offsets do not add up; going on could lose records or count them twice."""


class OwnershipError(EdgeError):
    """This worker may no longer own its partitions."""


class FencedError(OwnershipError):
    """The broker no longer takes this worker's transactions; none of their effects are seen."""


class TransactionError(EdgeError):
    """The broker cannot, or may not, be used with transactions."""


class StuckError(EdgeError):
    """A checkpoint did not come to an end."""
