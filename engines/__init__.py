"""Other engines for a trained model: ONNX, and bulk prediction."""
