"""What leaves the pipeline: payloads of topics and the Prometheus page."""
