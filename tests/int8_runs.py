"""Running int8 .tflite files under the reference kernels: integers in, integers out."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType


def quantized(x, scale, zero_point):
    """round_half_away(x / scale) + zero_point as int8, the quotient in float32 as TFLite has it."""
    ratio = x / np.float32(scale)
    return np.clip(
        np.trunc(ratio + np.copysign(np.float32(0.5), ratio)) + zero_point, -128, 127
    ).astype(np.int8)


class Reference:
    """An int8 model with one input and one output under BUILTIN_REF."""

    def __init__(self, model):
        source = (
            {"model_path": str(model)} if not isinstance(model, bytes) else {"model_content": model}
        )
        self.interpreter = Interpreter(
            **source, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
        )
        self.interpreter.allocate_tensors()
        (self.input,) = self.interpreter.get_input_details()
        (self.output,) = self.interpreter.get_output_details()
        self.scale, self.zero_point = self.output["quantization"]

    def operators(self):
        """Each operator's name with the types of its tensors that change from run to run."""
        types = {
            d["index"]: np.dtype(d["dtype"]).name for d in self.interpreter.get_tensor_details()
        }
        return [
            (op["op_name"], types[op["outputs"][0]]) for op in self.interpreter._get_ops_details()
        ]

    def __call__(self, images):
        """Integers of the output for float images, one run each."""
        rows = []
        for image in quantized(images, *self.input["quantization"]):
            self.interpreter.set_tensor(self.input["index"], image[None])
            self.interpreter.invoke()
            rows.append(self.interpreter.get_tensor(self.output["index"])[0])
        return np.array(rows)

    def steps_from(self, wanted):
        """Float outputs of a fake-quantized model as integers of this model's output."""
        return np.round(wanted / np.float32(self.scale)) + self.zero_point
