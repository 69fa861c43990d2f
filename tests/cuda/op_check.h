// One case of an op on the card, forward and backward, beside the CPU's in f64.
#pragma once

#include "tests/op_table/harness.h"

namespace galvan {

inline std::vector<Tensor> on_card(std::span<const Tensor> inputs) {
  std::vector<Tensor> out;
  for (const Tensor& x : inputs) out.push_back(x.to(kCuda));
  return out;
}

// The call on the card, of card_inputs, gives what the row's gives on the CPU, of the same in f64.
inline void check_row(const OpRow& row, const Sample& s, DType dtype, const Call& call,
                      const std::vector<Tensor>& card_inputs, const std::vector<Tensor>& wide_inputs) {
  Sample random = s;  // upstream gradients that every dtype holds
  random.golden = false;
  const Result got = run(row, call, card_inputs, random), want = run(row, row.call, wide_inputs, random);
  REQUIRE(got.outputs.size() == want.outputs.size());
  for (size_t j = 0; j < got.outputs.size(); ++j) {
    CHECK(got.outputs[j].device() == kCuda);
    if (is_floating(want.outputs[j].dtype())) CHECK(got.outputs[j].dtype() == dtype);
    check_close(got.outputs[j], want.outputs[j].to_vector(), dtype, row.length(s.inputs, s.attributes));
  }
  for (size_t i = 0; i < s.inputs.size(); ++i) {
    REQUIRE(got.grads[i].defined() == want.grads[i].defined());
    if (!got.grads[i].defined()) continue;
    CAPTURE(i);
    CHECK(got.grads[i].device() == kCuda);
    check_close(got.grads[i], want.grads[i].to_vector(), dtype,
                gradient_length(row, s, s.inputs[i], got.outputs));
  }
}

}  // namespace galvan
