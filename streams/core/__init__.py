"""The two stages as pure processors: no asyncio, no Kafka, no I/O, no clock of their own."""
