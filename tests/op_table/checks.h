// Checks of one row of the op table on the CPU: what tests/core/ops.cpp and tests/core/ladder.cpp share.
#pragma once

#include "tests/op_table/harness.h"

namespace galvan {

// In f64: PyTorch's values and gradients, or those of the row's twin.
inline void check_against_reference(const OpRow& row) {
  for (const Sample& s : samples(row)) {
    CAPTURE(s.name);
    const Result got = run(row, row.call, s.inputs, s);
    const Result want = s.golden ? Result{} : run(row, row.twin, s.inputs, s);
    const int64_t length = row.length(s.inputs, s.attributes);
    REQUIRE(got.outputs.size() == (s.golden ? s.outputs.size() : want.outputs.size()));
    for (size_t j = 0; j < got.outputs.size(); ++j)
      check_close(got.outputs[j], s.golden ? s.outputs[j] : want.outputs[j].to_vector(), DType::f64, length);
    for (size_t i = 0; i < s.inputs.size(); ++i) {
      const std::vector<double> expected = s.golden                  ? s.grads[i]
                                           : want.grads[i].defined() ? want.grads[i].to_vector()
                                                                     : std::vector<double>{};
      if (expected.empty() && s.inputs[i].numel() > 0) continue;
      CAPTURE(i);
      if (got.grads[i].defined())
        check_close(got.grads[i], expected, DType::f64, gradient_length(row, s, s.inputs[i], got.outputs));
    }
  }
}

// In a narrower dtype, where the row takes it: the f64 op on the same, rounded, inputs.
inline void check_against_f64(const OpRow& row, DType dtype) {
  if (!types_of(row.op).contains(dtype)) return;
  for (const Sample& s : samples(row)) {
    CAPTURE(s.name);
    CAPTURE(std::string(name(dtype)));
    const std::vector<Tensor> narrow = converted(s.inputs, dtype);
    const std::vector<Tensor> wide = converted(narrow, DType::f64);
    Sample random = s;  // upstream gradients that every dtype holds
    random.golden = false;
    const Result got = run(row, row.call, narrow, random);
    const Result want = run(row, row.call, wide, random);
    for (size_t j = 0; j < got.outputs.size(); ++j) {
      if (is_floating(want.outputs[j].dtype())) CHECK(got.outputs[j].dtype() == dtype);
      check_close(got.outputs[j], want.outputs[j].to_vector(), dtype, row.length(s.inputs, s.attributes));
    }
    for (size_t i = 0; i < s.inputs.size(); ++i) {
      CHECK(got.grads[i].defined() == want.grads[i].defined());
      if (!got.grads[i].defined()) continue;
      CAPTURE(i);
      check_close(got.grads[i], want.grads[i].to_vector(), dtype,
                  gradient_length(row, s, s.inputs[i], got.outputs));
    }
  }
}

// In i32 or bool, where the row takes it: the f64 op on the same whole numbers.
inline void check_whole_numbers(const OpRow& row, DType dtype) {
  if (!types_of(row.op).contains(dtype)) return;
  for (const Sample& s : samples(row)) {
    if (!is_whole(s.attributes)) continue;
    CAPTURE(s.name);
    CAPTURE(std::string(name(dtype)));
    const std::vector<Tensor> whole = whole_numbers(s.inputs, dtype);
    std::vector<Tensor> wide;
    for (size_t i = 0; i < whole.size(); ++i)
      wide.push_back(is_floating(s.inputs[i].dtype()) ? whole[i].to(DType::f64) : whole[i]);
    NoGrad guard;
    const Outputs got = row.call(whole, s.attributes), want = row.call(wide, s.attributes);
    for (size_t j = 0; j < got.size(); ++j) CHECK(got[j].to_vector() == want[j].to_vector());
  }
}

}  // namespace galvan
