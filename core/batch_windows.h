// Which windows of a token array a training step reads: a pure function of (seed, step), the same on the host and on
// a card. models/dataset.h says how it is meant.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>

#include "core/random.h"

namespace galvan {

enum class BatchOrder {
  epoch,   // every window once an epoch, shuffled anew each time
  random,  // windows anywhere, drawn independently
  in_turn  // one after another from the beginning, batch after batch; for evaluation
};

struct BatchWindows {
  int64_t begin = 0;       // of the range of tokens
  int64_t size = 0;        // of the range, more than T
  int64_t context = 64;    // T, tokens of a window, which has one more as its last target
  int64_t batch_size = 1;  // B, windows of one micro-step
  int64_t micro_steps = 1;
  uint64_t seed = 0;
  BatchOrder order = BatchOrder::epoch;

  // Windows of an epoch, W.
  constexpr int64_t windows() const { return std::max<int64_t>(1, (size - context) / context); }
  constexpr int64_t windows_per_step() const { return batch_size * micro_steps; }

  // The token at which row `row` begins, counted in the token array.
  constexpr int64_t start(int64_t step, int64_t micro_step, int64_t row) const {
    const int64_t sample = micro_step * batch_size + row, global = step * windows_per_step() + sample;
    if (order == BatchOrder::in_turn) return begin + global * context;
    if (order == BatchOrder::random) {
      const RandomStream stream{seed, stream_of("data.random"), static_cast<uint32_t>(step), 0};
      return begin + uniform_below(size - context, word64(stream.words(static_cast<uint64_t>(sample))));
    }
    const uint32_t epoch = static_cast<uint32_t>(global / windows());
    const int64_t slack = size - 1 - windows() * context;
    const RandomStream stream{seed, stream_of("data.phase"), epoch, 0};
    const int64_t phase = uniform_below(slack + 1, word64(stream.words(0)));
    return begin + phase + permuted(global % windows(), windows(), seed, epoch) * context;
  }

 private:
  static constexpr uint64_t word64(const Philox4& words) {
    return static_cast<uint64_t>(words[0]) << 32 | words[1];
  }

  // In 0 .. n-1; the bias is below n / 2^64.
  static constexpr int64_t uniform_below(int64_t n, uint64_t word) {
    return static_cast<int64_t>(static_cast<unsigned __int128>(word) * static_cast<uint64_t>(n) >> 64);
  }

  // Element `index` of a random permutation of 0 .. n-1 that (seed, epoch) selects: a Feistel network with cycle
  // walking.
  static constexpr int64_t permuted(int64_t index, int64_t n, uint64_t seed, uint32_t epoch) {
    constexpr uint32_t kRounds = 8;
    // The network permutes 2 half bits; what falls outside 0 .. n-1 goes through it again until it falls
    // inside. It has 256 values or more: one of 16 gives some orders of 5 windows a tenth more often than
    // others.
    int bits = 0;  // of n - 1; not std::bit_width, which nvcc 13.0 makes 0 of in a kernel
    while ((static_cast<uint64_t>(n - 1) >> bits) > 0) ++bits;
    const int half = std::max(4, (bits + 1) / 2);
    const uint64_t mask = (uint64_t{1} << half) - 1;
    uint64_t value = static_cast<uint64_t>(index);
    do {
      uint64_t left = value >> half, right = value & mask;
      for (uint32_t round = 0; round < kRounds; ++round) {
        const RandomStream stream{seed, stream_of("data.shuffle"), epoch, round};
        left = std::exchange(right, left ^ (word64(stream.words(right)) & mask));
      }
      value = left << half | right;
    } while (value >= static_cast<uint64_t>(n));
    return static_cast<int64_t>(value);
  }
};

}  // namespace galvan
