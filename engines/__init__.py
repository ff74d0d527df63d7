"""Other ways to run a trained model: ONNX, and bulk prediction on one machine or on many."""
