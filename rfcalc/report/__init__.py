"""What the walks return: the report, the report of one node's field, and the metrics."""
