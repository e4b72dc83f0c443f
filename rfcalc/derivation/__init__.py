"""Every figure derived as on a blackboard: the formula, each step with its numbers, the result, the source.

`derive(report, node, metric)` gives an `Explanation` (data), `document(explanation)` what every format renders. One
mechanism does it: rules compute with a `Formula` that holds expression, operands and source, and an explanation is that
computation, heard; a new layer kind is explained because it computes.
"""
