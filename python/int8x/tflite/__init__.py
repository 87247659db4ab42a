"""The .tflite file as a value: reading, checking, editing, writing."""
