// A softmax of one's own on the CPU, over rows of floats: the maximum, the sum, the quotients.
#include <algorithm>
#include <cmath>

#include "bench/op_table/own_kernel.h"
#include "core/check.h"
#include "core/parallel.h"

using namespace galvan;

namespace {

Tensor softmax_three_loops(const Tensor& x) {
  check(x.dtype() == DType::f32, "softmax_three_loops: takes f32, not ", name(x.dtype()));
  Tensor y = Tensor::empty_like(x);
  const int64_t columns = x.shape().back(), rows = x.numel() / columns;
  const float* const from = x.data<float>();
  float* const to = y.data<float>();
  parallel_for(rows, [&](int64_t row) {
    const float* const in = from + row * columns;
    float* const out = to + row * columns;
    float largest = -INFINITY, sum = 0;
    for (int64_t c = 0; c < columns; ++c) largest = std::max(largest, in[c]);
    for (int64_t c = 0; c < columns; ++c) sum += out[c] = std::exp(in[c] - largest);
    for (int64_t c = 0; c < columns; ++c) out[c] /= sum;
  });
  return y;
}

// The line by which it joins `galvan bench`.
const OwnKernel mine("softmax", "cpu", "three_loops",
                     [](Inputs in, const Attributes&) { return only(softmax_three_loops(in[0])); });

}  // namespace
