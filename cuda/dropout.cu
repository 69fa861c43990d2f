// Dropout.
//   y[i] = x[i] / (1 - p) where uniform_from(words(i / 4)[i % 4]) >= p, else 0: the CPU's bits
// Memory   2 n sizeof(T) bytes at most, elements that are dropped need not be read; the mask is never in memory
// Compute  20 multiplications of 32 bits for 4 elements
// Launch   a block of Philox, 4 elements, a thread
#include "core/kernels.h"
#include "core/random.h"
#include "cuda/replicas.h"

namespace galvan {
namespace {

// uniform_from(word) >= p, in whole numbers: word >> 8 >= least = ceil(p 2^24).
template <class T>
__device__ void drop(RandomStream stream, uint32_t least, Acc<T> scale, const T* x, T* y, int64_t n) {
  const int64_t block = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (4 * block >= n) return;
  const Philox4 words = stream.at_step().words(static_cast<uint64_t>(block));
#pragma unroll
  for (int w = 0; w < 4; ++w) {
    const int64_t i = 4 * block + w;
    if (i < n) y[i] = static_cast<T>(words[w] >> 8 >= least ? static_cast<Acc<T>>(x[i]) * scale : Acc<T>{});
  }
}

}  // namespace

template <class T>
void dropout(Cuda on, const RandomStream& stream, double p, const T* x, T* y, int64_t n) {
  constexpr int kThreads = 256;
  if (n == 0) return;
  const auto scale = static_cast<Acc<T>>(1.0 / (1.0 - p));
  const double bound = p * 0x1p24;
  uint32_t least = static_cast<uint32_t>(bound);
  least += least < bound;
  launch_body<drop<T>, Body{.replicas = kReplicated<T>}>(blocks_for((n + 3) / 4, kThreads), kThreads, 0,
                                                         on.stream, stream, least, scale, x, y, n);
}

#define GALVAN_DROPOUT(T) template void dropout(Cuda, const RandomStream&, double, const T*, T*, int64_t);
GALVAN_DROPOUT(float)
GALVAN_DROPOUT(double)
GALVAN_DROPOUT(bfloat16)

}  // namespace galvan
