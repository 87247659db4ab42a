"""A folder of tests: every file called *_test.cc or *_test.py is one."""

load(":cc_test.bzl", "int8x_arm64_test", "int8x_cc_test")
load(":py_test.bzl", "int8x_py_test")

def int8x_tests(cc = {}, arm64 = {}, py = {}, oldest = {}):
    """Makes X_test and X_arm64_test for each X_test.cc, X_test for each X_test.py; the suite `cc` of all X_test.cc.

    Some X_test.py also become X_oldest_test, in the environment of the oldest packages that int8x takes.

    Args:
      cc: arguments of int8x_cc_test by file name, for the tests that need others than the defaults.
      arm64: the same for int8x_arm64_test; None leaves a test out.
      py: the same for int8x_py_test.
      oldest: the files of tests that are run in the environment `oldest` too, and what that changes of their arguments.
    """
    sources = native.glob(["*_test.cc"])
    native.test_suite(name = "cc", tests = [":" + file[:-len(".cc")] for file in sources])
    for file in sources:
        name = file[:-len("_test.cc")]
        arguments = {"deps": ["//delegate", "//tests/tflite_host"]}
        arguments.update(cc.get(file, {}))
        int8x_cc_test(name = name + "_test", **arguments)
        if arm64.get(file, {}) != None:
            int8x_arm64_test(name = name + "_arm64_test", test = ":%s_test" % name, **arm64.get(file, {}))
    for file in native.glob(["*_test.py"]):
        int8x_py_test(name = file[:-len(".py")], **py.get(file, {}))
    for file in oldest:
        arguments = dict(py.get(file, {}), src = file, env = "oldest", **oldest[file])
        int8x_py_test(name = file[:-len("_test.py")] + "_oldest_test", **arguments)
    files = native.glob(["*_test.*"])
    for file in list(cc) + list(arm64) + list(py) + list(oldest):
        if file not in files:
            fail("%s: no such test in //%s" % (file, native.package_name()))
