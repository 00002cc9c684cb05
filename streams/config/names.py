"""Names that become topic names, metric labels and alert identities."""

from typing import Annotated

from pydantic import StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")]
"""A model, rule or detector: safe as a label and in a key."""

TopicName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,200}$")]
"""A Kafka topic, consumer group or prefix of them."""

Text = Annotated[str, StringConstraints(pattern=r'^[^"\\\x00-\x1f]{1,256}$')]
"""A feature, tag, class or event name as services send it."""
