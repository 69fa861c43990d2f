// What a card does at most, measured.
#include <algorithm>

#include "core/cuda_backend.h"
#include "core/ops.h"
#include "cuda/runtime/stream.h"

namespace galvan::cuda_backend {

double measure_matmul_flops(Device device, DType dtype) {
  if (card(device).simulated) return 0;
  constexpr int64_t kSize = 4096;
  constexpr int kRounds = 8;
  const TensorOptions kind{.dtype = dtype, .device = device};
  const Tensor a = Tensor::uniform({kSize, kSize}, {.low = -1, .seed = 1, .tensor = kind});
  const Tensor b = Tensor::uniform({kSize, kSize}, {.low = -1, .seed = 2, .tensor = kind});
  const Event begin, end;
  double best = 0;
  for (int round = 0; round < kRounds; ++round) {
    begin.record(stream(device));
    matmul(a, b);
    end.record(stream(device));
    best = std::max(best, 2.0 * kSize * kSize * kSize / (1e-3 * end.since(begin)));
  }
  return best;
}

}  // namespace galvan::cuda_backend
