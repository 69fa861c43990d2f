// Every rung of the CPU's ladders, in its kernel's place, through the op table's checks: forward and backward, in every
// dtype, on one thread and on two. The matrix products' layouts are in tests/core/gemm.cpp.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "core/kernels.h"
#include "core/parallel.h"
#include "core/variants.h"
#include "tests/core/each_variant.h"
#include "tests/core/worst.h"
#include "tests/op_table/checks.h"

using namespace galvan;

namespace {

// The rows that a kernel computes: its own, and those that are made with it.
const std::vector<std::pair<std::string, std::vector<std::string>>> kRows = {
    {"matmul", {"matmul", "linear", "gelu_mlp"}},
    {"softmax", {"softmax"}},
    {"layer_norm",
     {"layer_norm", "rms_norm", "add_layer_norm", "keep_layer_norm", "add_rms_norm", "keep_rms_norm"}},
    {"attention", {"attention", "packed_attention"}},
    {"sum", {"sum", "sum_to", "mean"}},
};

void check_row(const OpRow& row) {
  CAPTURE(row.name);
  check_against_reference(row);
  for (const DType dtype : {DType::f32, DType::bf16}) check_against_f64(row, dtype);
  for (const DType dtype : {DType::i32, DType::boolean}) check_whole_numbers(row, dtype);
}

// Cases larger than any block, tile or chunk, with no size that fits them, to be compared with f64.
std::vector<OpCase> odd_cases(const std::string& kernel) {
  if (kernel == "matmul") return {{"odd", {{.shape = {3, 67, 131}}, {.shape = {3, 131, 45}}}}};
  if (kernel == "softmax") return {{"odd", {{.shape = {33, 1031}, .scale = 4.0}}, {{"dim", -1}}}};
  if (kernel == "layer_norm")
    return {{"odd", {{.shape = {1031, 67}}, {.shape = {67}}, {.shape = {67}}}, {{"eps", 1e-5}}}};
  if (kernel == "attention")
    return {{"odd",
             {{.shape = {2, 4, 131, 19}}, {.shape = {2, 2, 133, 19}}, {.shape = {2, 2, 133, 19}}},
             {{"causal", true}, {"scale", 0.25}}}};
  return {{"rows", {{.shape = {3, 32803}}}, {{"dims", {1}}, {"keepdim", false}}},
          {"columns", {{.shape = {3, 1031, 67}}}, {{"dims", {1}}, {"keepdim", false}}}};
}

// Three tensors in one block, the second without a gradient, the third longer than a piece; five steps of AdamW on them.
template <class T>
struct Updates {
  using M = Acc<T>;
  static constexpr int64_t kSize = 17000;
  const std::vector<UpdatePiece> pieces = {{0, 0, 31}, {64, 1, 5}, {128, 2, 16384}, {128 + 16384, 2, 103}};
  const std::vector<int32_t> has_grad = {1, 0, 1};
  const SegmentOptions options = {.weight_decay = 0.1, .momentum = 0.9, .beta2 = 0.99};
  std::vector<T> weight = numbers(1), grad = numbers(2);
  std::vector<M> master{weight.begin(), weight.end()};
  std::vector<M> state0 = std::vector<M>(kSize), state1 = std::vector<M>(kSize);

  static std::vector<T> numbers(uint64_t seed) {
    const std::vector<double> x = Tensor::uniform({kSize}, {.low = -1, .seed = seed}).to_vector();
    std::vector<T> out;
    for (const double value : x) out.push_back(static_cast<T>(static_cast<M>(value)));
    return out;
  }

  void run() {
    StepControl control;
    control.applied = 1;
    M* const masters = std::is_same_v<T, M> ? reinterpret_cast<M*>(weight.data()) : master.data();
    for (int64_t step = 1; step <= 5; ++step) {
      std::vector<AdamRule::Coefficients<M>> coefficients(3);
      for (auto& each : coefficients)
        each = AdamRule{.eps = 1e-8, .maximize = false, .decoupled = true}.coefficients<M>(
            options, {.lr = 0.01, .momentum = 0.9, .grad_scale = 0.5, .updates = step});
      update_pieces<AdamRule, T>(Cpu{}, {pieces.data(), static_cast<int64_t>(pieces.size()), has_grad.data()},
                                 coefficients.data(), &control,
                                 {weight.data(), masters, grad.data(), state0.data(), state1.data()});
    }
  }

  // Element i after run(), by the paper's formula (arXiv:1711.05101, algorithm 2) in double.
  static double expected(double w, double grad) {
    double m = 0, v = 0;
    for (int step = 1; step <= 5; ++step) {
      const double g = 0.5 * grad;
      m = 0.9 * m + 0.1 * g;
      v = 0.99 * v + 0.01 * g * g;
      const double m_hat = m / (1 - std::pow(0.9, step)), v_hat = v / (1 - std::pow(0.99, step));
      w -= 0.01 * (m_hat / (std::sqrt(v_hat) + 1e-8) + 0.1 * w);
    }
    return w;
  }
};

}  // namespace

TEST_CASE("every rung of every ladder passes its ops' checks") {
  const int before = threads();
  size_t ladders = 0;
  for (const auto& [kernel, rows] : kRows)
    for_each_variant(kernel, "cpu", [&, &rows = rows](Variants& versions) {
      ladders += versions.chosen() == 0;
      for (const int count : {1, 2}) {
        set_threads(count);
        CAPTURE(count);
        for (const std::string& name : rows) check_row(row_named(name));
      }
    });
  set_threads(before);
  CHECK(ladders == kRows.size());
}

TEST_CASE("rungs are right where no size fits a block") {
  for (const auto& [kernel, rows] : kRows)
    for (const OpCase& odd : odd_cases(kernel)) {
      const OpRow& row = row_named(rows.front());
      const Sample sample{.name = kernel + " " + odd.name,
                          .inputs = make_inputs(odd, DType::f64),
                          .attributes = odd.attributes,
                          .golden = false};
      for (const DType dtype : {DType::f64, DType::f32, DType::bf16}) {
        const std::vector<Tensor> narrow = converted(sample.inputs, dtype);
        const Result want =
            run(row, row.call, converted(narrow, DType::f64), sample);  // by what training uses
        for_each_variant(kernel, "cpu", [&](Variants&) {
          CAPTURE(std::string(name(dtype)));
          const Result got = run(row, row.call, narrow, sample);
          check_close(got.outputs[0], want.outputs[0].to_vector(), dtype,
                      row.length(sample.inputs, sample.attributes));
          for (size_t i = 0; i < narrow.size(); ++i)
            check_close(got.grads[i], want.grads[i].to_vector(), dtype,
                        gradient_length(row, sample, narrow[i], got.outputs));
        });
      }
    }
}

TEST_CASE_TEMPLATE("every rung of adamw takes the paper's steps", T, float, double, bfloat16) {
  const DType dtype = dtype_of<T>;
  const Updates<T> before;
  int rungs = 0;
  for_each_variant("adamw", "cpu", [&](Variants&) {
    ++rungs;
    Updates<T> after;
    after.run();
    double worst = 0;
    for (const UpdatePiece& piece : before.pieces)
      for (int64_t i = piece.begin; i < piece.begin + piece.size; ++i) {
        const double w = static_cast<double>(before.weight[i]);
        const double want =
            before.has_grad[piece.segment] ? Updates<T>::expected(w, static_cast<double>(before.grad[i])) : w;
        worst =
            worse(worst, std::fabs(static_cast<double>(after.weight[i]) - want) / tolerance(dtype, 5, want));
      }
    CHECK(worst <= 1);
    CHECK(after.weight[40] == before.weight[40]);  // between the tensors
  });
  CHECK(rungs == 3);
}
