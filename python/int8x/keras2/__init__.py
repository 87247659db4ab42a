"""Keras 2 (tf_keras) models, plain ones and those that TensorFlow Model Optimization trained, as
float .tflite graphs with their ranges.

The package tf_keras and TFMOT are never imported here: a model brings them along.
"""
