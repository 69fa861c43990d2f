// Counter-based random numbers: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy
// as 1, 2, 3", SC 2011). A number is a pure function of its address
//
//   (seed, stream, step, micro-step, element)
//
// so it does not depend on the thread or the device that draws it, nor on what was drawn before. The stream is
// the name of a parameter (its initial values) or the ordinal of an op in the forward pass (a dropout mask).
// docs/design.md says who draws from which address.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace galvan {

using Philox4 = std::array<uint32_t, 4>;

// Ten rounds: four random words for a counter and a key.
constexpr Philox4 philox(Philox4 counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t p1 = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

// The address of a sequence of random words, all but the element. A replica of a model is told apart by its
// seed.
struct RandomStream {
  uint64_t seed = 0;
  uint32_t stream = 0;
  uint32_t step = 0;
  uint32_t micro_step = 0;  // at most 65,535
  // Where not null, the step stands here, in the memory of the device that draws, whose kernel reads it: so that one
  // launch, replayed, draws anew in each step (core/step_control.h).
  const int64_t* step_from = nullptr;

  // The address with its step read.
  constexpr RandomStream at_step() const {
    return {seed, stream, step_from == nullptr ? step : static_cast<uint32_t>(*step_from), micro_step};
  }
  // Words 4 block .. 4 block + 3. Blocks are numbered up to 2^48.
  constexpr Philox4 words(uint64_t block) const {
    return philox(
        {static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32) | micro_step << 16, step, stream},
        {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  }
};

// A stream's number from its name: FNV-1a with the top bit set, which op ordinals leave clear.
template <class Text>
constexpr uint32_t hash_of_stream(const Text& name, size_t size) {
  uint32_t hash = 2166136261u;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<unsigned char>(name[i])) * 16777619u;
  return hash | 0x80000000u;
}
inline uint32_t stream_of(std::string_view name) { return hash_of_stream(name, name.size()); }
// Of a name in the source, while compiling: in kernels too, where nvcc takes a std::string_view for unreachable.
template <size_t N>
consteval uint32_t stream_of(const char (&name)[N]) {
  return hash_of_stream(name, N - 1);
}

// Uniform in [0, 1), with 24 random bits.
constexpr float uniform_from(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

// What the random ops of the calling thread's forward pass draw from. The trainer sets it before every
// forward pass; each random op takes the next ordinal as its stream.
class RandomContext {
 public:
  static RandomContext& current();

  // Begins a forward pass: ordinals count from 0 again.
  void begin(uint64_t seed, uint32_t step, uint32_t micro_step);
  RandomStream next();

  // What next() will give, to be restored before a block is recomputed with the same masks.
  const RandomStream& state() const { return next_; }
  void restore(const RandomStream& state) { next_ = state; }

 private:
  RandomStream next_;
};

// A forward and backward pass whose step stands at `step`, in the memory of the device that draws. When this ends, the
// thread draws from what it drew from before: the place need not outlive it.
class RandomPass {
 public:
  RandomPass(uint64_t seed, uint32_t micro_step, const int64_t* step);
  ~RandomPass() { RandomContext::current().restore(before_); }
  RandomPass(const RandomPass&) = delete;
  RandomPass& operator=(const RandomPass&) = delete;

 private:
  RandomStream before_;
};

}  // namespace galvan
