// What a card does at most, measured.
#include <algorithm>

#include "core/cuda_backend.h"
#include "core/ops.h"
#include "cuda/runtime/stream.h"

namespace galvan::cuda_backend {

namespace {

constexpr int kRounds = 8;

// The fewest seconds that `work`, put on the stream, takes.
template <class Work>
double fastest(Device device, const Work& work) {
  const Event begin, end;
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    begin.record(stream(device));
    work();
    end.record(stream(device));
    const double seconds = 1e-3 * end.since(begin);
    if (round > 0) best = best == 0 ? seconds : std::min(best, seconds);  // the first one warms up
  }
  return best;
}

}  // namespace

double measure_matmul_flops(Device device, DType dtype) {
  if (card(device).simulated) return 0;
  constexpr int64_t kSize = 4096;
  const TensorOptions kind{.dtype = dtype, .device = device};
  const Tensor a = Tensor::uniform({kSize, kSize}, {.low = -1, .seed = 1, .tensor = kind});
  const Tensor b = Tensor::uniform({kSize, kSize}, {.low = -1, .seed = 2, .tensor = kind});
  return 2.0 * kSize * kSize * kSize / fastest(device, [&] { matmul(a, b); });
}

double measure_copy_bandwidth(Device device) {
  if (card(device).simulated) return 0;
  constexpr int64_t kFloats = int64_t{1} << 27;  // no cache holds them
  const Tensor x = Tensor::zeros({kFloats}, {.device = device}),
               y = Tensor::zeros({kFloats}, {.device = device});
  return 2.0 * sizeof(float) * kFloats / fastest(device, [&] { y.copy_(x); });
}

}  // namespace galvan::cuda_backend
