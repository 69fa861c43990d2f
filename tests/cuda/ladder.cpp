// Every version of a kernel that there are several of (core/variants.h) is right: production's, and each rung of the
// ladder.
#include <string>

#include "gemm_case.h"
#include "op_check.h"
#include "tests/core/each_variant.h"

using namespace galvan;

namespace {

// The op table's cases of the row, and these.
void check_op(const std::string& name, const std::vector<OpCase>& more) {
  const OpRow& row = row_named(name);
  std::vector<Sample> cases = samples(row);
  for (const OpCase& c : more)
    cases.push_back({.name = c.name, .inputs = make_inputs(c, DType::f64), .attributes = c.attributes});
  for (const Sample& s : cases) {
    CAPTURE(s.name);
    for (const DType dtype : {DType::f32, DType::bf16}) {
      CAPTURE(std::string(galvan::name(dtype)));
      const std::vector<Tensor> narrow = converted(s.inputs, dtype);
      check_row(row, s, dtype, row.call, on_card(narrow), converted(narrow, DType::f64));
    }
  }
}

}  // namespace

TEST_CASE("matmul: every version gives what the CPU gives") {
  for_each_variant("matmul", "cuda", [](Variants&) { check_op("matmul", {}); });
}

TEST_CASE("matmul: products that do more go through the chosen version too") {
  const ChosenVariant coalesced(variants_of("matmul", "cuda"), "coalesced");
  check_op("gelu_mlp", {});
}

TEST_CASE_TEMPLATE("matmul: every version takes odd sizes, transposes, strides, bias and batches", T, float,
                   bfloat16) {
  const Stream stream;
  for_each_variant("matmul", "cuda", [&](Variants&) {
    for (const bool transpose_a : {false, true}) {
      for (const bool transpose_b : {false, true}) {
        CAPTURE(transpose_b);
        const auto check = [&](GemmCase t) {
          t.transpose_a = transpose_a;
          t.transpose_b = transpose_b;
          check_gemm<T>({stream}, t);
        };
        check({.m = 130, .n = 5, .k = 35});
        check({.m = 5, .n = 67, .k = 19, .bias = true});
        check({.m = 16, .n = 72, .k = 40, .accumulate = true});                    // in whole packs
        check({.m = 9, .n = 16, .k = 8, .bias = true, .batch = 3, .padding = 8});  // and in those
        check({.m = 130, .n = 133, .k = 35, .batch = 2, .padding = 1});            // tiles of all directions
        check({.m = 3, .n = 2, .k = 1, .accumulate = true, .batch = 2, .shared_b = true, .padding = 1});
      }
    }
    check_gemm<T>({stream}, {.m = 3, .n = 5, .k = 0, .bias = true});
    check_gemm<T>({stream}, {.m = 3, .n = 0, .k = 4});
  });
}

TEST_CASE("softmax: every version gives what the CPU gives") {
  for_each_variant("softmax", "cuda", [](Variants&) {
    check_op("softmax", {{"5x129", {{.shape = {5, 129}, .scale = 8}}, {{"dim", -1}}},
                         {"2x300", {{.shape = {2, 300}, .scale = 8}}, {{"dim", -1}}},
                         {"130x2", {{.shape = {130, 2}}}, {{"dim", -1}}},
                         {"0x3", {{.shape = {0, 3}}}, {{"dim", -1}}}});
  });
}

TEST_CASE("layer_norm: every version gives what the CPU gives") {
  for_each_variant("layer_norm", "cuda", [](Variants&) {
    const std::vector<OpCase> rows = {
        {"3x257", {{.shape = {3, 257}}, {.shape = {257}}, {.shape = {257}}}, {{"eps", 1e-5}}},
        {"2x1032", {{.shape = {2, 1032}}, {.shape = {1032}}, {.shape = {1032}}}, {{"eps", 1e-5}}}};
    check_op("layer_norm", rows);
    for (const char* const name : {"rms_norm", "add_layer_norm", "keep_rms_norm"}) check_op(name, {});
  });
}

TEST_CASE("sum: every version gives what the CPU gives") {
  for_each_variant("sum", "cuda", [](Variants&) {
    check_op("sum", {{"2x1025", {{.shape = {2, 1025}}}, {{"dims", {1}}, {"keepdim", false}}},
                     {"3x257x5", {{.shape = {3, 257, 5}}}, {{"dims", {1}}, {"keepdim", false}}}});
    check_op("mean", {});
  });
}

TEST_CASE("attention: every version gives what the CPU gives, forward and backward") {
  for_each_variant("attention", "cuda", [](Variants&) {
    const auto heads = [](const char* name, int64_t steps, int64_t D, bool causal) {
      const InputSpec x{.shape = {1, 2, steps, D}};
      return OpCase{name, {x, x, x}, {{"causal", causal}, {"scale", 0.3}}};
    };
    check_op("attention", {heads("65 queries", 65, 8, true), heads("heads of 40", 9, 40, false)});
    check_op("packed_attention", {});
  });
}
