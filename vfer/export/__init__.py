"""A trained model as one ONNX graph, from face crops to probabilities."""
