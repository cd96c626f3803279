"""Vedette's own rules. Every C++ target goes through here, so a flag is changed in one place."""

COPTS = [
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    # Designated initialisers leave the rest at its default on purpose.
    "-Wno-missing-field-initializers",
    # kStaleNan and kAbsent are signalling NaNs: without this g++ 12 quiets one that stands in a
    # conditional expression (c ? x : kAbsent), and the payload is no longer equal. Clang never
    # does and does not know the flag.
    "-fsignaling-nans",
    "-Wno-ignored-optimization-argument",
]

def vedette_library(name, copts = [], **kwargs):
    """A module's library: one idea, one to four files."""
    native.cc_library(
        name = name,
        copts = COPTS + copts,
        **kwargs
    )

def vedette_test(name, deps = [], copts = [], data = [], size = "small", **kwargs):
    """A GoogleTest program with its own main."""
    native.cc_test(
        name = name,
        size = size,
        copts = COPTS + copts,
        # Read by the thread sanitizer alone; tools/sanitize names it.
        data = data + ["//tools/build:tsan.supp"],
        deps = deps + ["//third_party/debian:gtest_main"],
        **kwargs
    )

def vedette_bench(name, deps = [], copts = [], **kwargs):
    """A google-benchmark program: built with everything but the sanitizers, run by hand or by tools/bench."""
    native.cc_binary(
        name = name,
        testonly = True,
        copts = COPTS + copts,
        tags = ["bench"],
        deps = deps + ["//third_party/debian:benchmark_main"],
        **kwargs
    )

def vedette_fuzz(name, deps = [], copts = [], **kwargs):
    """A libFuzzer program, x_fuzz, and x_fuzz_run, the test that runs it for a while on the seeds in
    x_corpus/: bazel test --config=fuzz :x_fuzz_run. Neither is part of //..."""
    native.cc_binary(
        name = name,
        testonly = True,
        copts = COPTS + copts,
        tags = ["manual"],
        deps = deps,
        **kwargs
    )
    corpus = name[:-len("_fuzz")] + "_corpus"
    native.sh_test(
        name = name + "_run",
        size = "medium",
        srcs = ["//tools/build:fuzz_test.sh"],
        args = ["$(location :" + name + ")", native.package_name() + "/" + corpus],
        data = [":" + name] + native.glob([corpus + "/**"]),
        tags = ["fuzz", "manual"],
    )

def vedette_proto(name, src, grpc = False, deps = []):
    """One .proto becomes a library of messages and, with grpc, one of gRPC stubs called name_grpc.

    Imports between our protos are written from the top of the tree and named in deps."""
    base = src[:-len(".proto")]
    native.filegroup(
        name = name + "_src",
        srcs = [src] + [d + "_src" for d in deps],
    )
    native.genrule(
        name = name + "_gen",
        srcs = [":" + name + "_src"],
        outs = [base + e for e in [".pb.h", ".pb.cc"] + ([".grpc.pb.h", ".grpc.pb.cc"] if grpc else [])],
        cmd = "protoc -I. --cpp_out=$(BINDIR) " +
              ("--plugin=protoc-gen-grpc=$$(command -v grpc_cpp_plugin) --grpc_out=$(BINDIR) " if grpc else "") +
              native.package_name() + "/" + src,
    )
    native.cc_library(
        name = name,
        srcs = [base + ".pb.cc"],
        hdrs = [base + ".pb.h"],
        deps = deps + ["//third_party/debian:protobuf"],
    )
    if grpc:
        native.cc_library(
            name = name + "_grpc",
            srcs = [base + ".grpc.pb.cc"],
            hdrs = [base + ".grpc.pb.h"],
            deps = [
                ":" + name,
                "//third_party/debian:grpc",
            ] + deps,
        )

def vedette_script_test(name, src, data = [], size = "medium", tags = [], **kwargs):
    """A test written in Python (Debian's own, without Bazel's rules): its data are at the same paths
    below the working directory as in the tree."""
    native.sh_test(
        name = name,
        size = size,
        srcs = ["//tools/build:python_test.sh"],
        args = ["$(location " + src + ")"],
        data = [src] + data,
        tags = tags,
        **kwargs
    )
