"""Where the pipeline meets Kafka, HTTP and the clock."""
