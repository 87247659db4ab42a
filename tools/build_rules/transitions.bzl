"""Builds a dependency for arm64, whatever this machine is."""

def _to_arm64(settings, attr):
    return {"//command_line_option:platforms": "//third_party/arm64:linux"}

to_arm64 = transition(
    implementation = _to_arm64,
    inputs = [],
    outputs = ["//command_line_option:platforms"],
)
