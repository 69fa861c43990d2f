// Dropout.
//   y[i] = x[i] / (1 - p) where uniform_from(words(i / 4)[i % 4]) >= p, else 0
// Memory   2 n sizeof(T) bytes; the mask is never in memory
// Compute  20 multiplications of 32 bits for 4 elements: loops over kBlocks blocks of four, which vectorise
#include <algorithm>

#include "core/kernels.h"
#include "core/parallel.h"

namespace galvan {
namespace {

constexpr int kBlocks = 64;          // blocks of four words that are drawn together
constexpr int64_t kGrain = 1 << 13;  // elements a task, a multiple of 4 kBlocks

// words[w][b] = stream.words(first + b)[w].
void draw(const RandomStream& stream, uint64_t first, uint32_t (&words)[4][kBlocks]) {
  for (int b = 0; b < kBlocks; ++b) {
    const Philox4 four = stream.words(first + b);
    for (int w = 0; w < 4; ++w) words[w][b] = four[w];
  }
}

}  // namespace

template <class T>
void dropout(Cpu, const RandomStream& stream, double p, const T* x, T* y, int64_t n) {
  const auto scale = static_cast<Acc<T>>(1.0 / (1.0 - p));
  // uniform_from(word) >= p, in whole numbers: word >> 8 >= ceil(p 2^24).
  const double bound = p * 0x1p24;
  uint32_t least = static_cast<uint32_t>(bound);
  least += least < bound;
  parallel_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    uint32_t words[4][kBlocks];
    Acc<T> factor[4 * kBlocks];
    for (int64_t at = begin; at < end; at += 4 * kBlocks) {
      draw(stream, static_cast<uint64_t>(at / 4), words);
      for (int b = 0; b < kBlocks; ++b)
        for (int w = 0; w < 4; ++w) factor[4 * b + w] = words[w][b] >> 8 >= least ? scale : Acc<T>{};
      const int64_t count = std::min<int64_t>(4 * kBlocks, end - at);
      for (int64_t i = 0; i < count; ++i)
        y[at + i] =
            static_cast<T>(factor[i] == Acc<T>{} ? Acc<T>{} : static_cast<Acc<T>>(x[at + i]) * factor[i]);
    }
  });
}

#define GALVAN_DROPOUT(T) template void dropout(Cpu, const RandomStream&, double, const T*, T*, int64_t);
GALVAN_DROPOUT(float)
GALVAN_DROPOUT(double)
GALVAN_DROPOUT(bfloat16)

}  // namespace galvan
