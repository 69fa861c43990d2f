// Dropout.
//   y[i] = x[i] / (1 - p) where uniform_from(words(i / 4)[i % 4]) >= p, else 0
// Memory   2 n sizeof(T) bytes; the mask is never in memory
// Compute  20 multiplications of 32 bits for 4 elements, in vectors (philox.h)
#include <algorithm>

#include "core/cpu/philox.h"
#include "core/kernels.h"
#include "core/parallel.h"

namespace galvan {
namespace {

constexpr int kWords = 4 * kPhiloxBlocks;  // drawn together
constexpr int64_t kGrain = 1 << 13;        // elements a task, a multiple of kWords

}  // namespace

template <class T>
void dropout(Cpu, const RandomStream& address_of, double p, const T* x, T* y, int64_t n) {
  const RandomStream stream = address_of.at_step();
  const auto scale = static_cast<Acc<T>>(1.0 / (1.0 - p));
  // uniform_from(word) >= p, in whole numbers: word >> 8 >= ceil(p 2^24).
  const double bound = p * 0x1p24;
  uint32_t least = static_cast<uint32_t>(bound);
  least += least < bound;
  const PhiloxAddress address{
      .micro_step = stream.micro_step,
      .step = stream.step,
      .stream = stream.stream,
      .key = {static_cast<uint32_t>(stream.seed), static_cast<uint32_t>(stream.seed >> 32)}};
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    uint32_t words[kWords];
    for (int64_t at = begin; at < end; at += kWords) {
      with_isa([&]<Isa isa>() { philox_blocks<isa>(address, static_cast<uint64_t>(at / 4), words); });
      const int64_t count = std::min<int64_t>(kWords, end - at);
      for (int64_t i = 0; i < count; ++i) {
        const Acc<T> scaled = static_cast<Acc<T>>(x[at + i]) * scale;
        y[at + i] = static_cast<T>(words[i] >> 8 >= least ? scaled : Acc<T>{});
      }
    }
  });
}

#define GALVAN_DROPOUT(T) template void dropout(Cpu, const RandomStream&, double, const T*, T*, int64_t);
GALVAN_DROPOUT(float)
GALVAN_DROPOUT(double)
GALVAN_DROPOUT(bfloat16)

}  // namespace galvan
