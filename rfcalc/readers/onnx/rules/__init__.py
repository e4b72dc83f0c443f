"""The rules of ONNX's operators, a file a family; `reading` says what a rule is."""
