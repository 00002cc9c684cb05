"""Files of predictions and feedback as events and as columns."""
