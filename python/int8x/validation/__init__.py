"""How far an int8 model is from its float model: outputs, tensors, operators."""
