// What the card draws from logits is what the CPU draws.
#include <limits>

#include "kernel_test.h"

using namespace galvan;

namespace {

// Logits that spread over [-spread, spread), with `levels` different values, so that many are equal; 0: no such.
template <class T>
std::vector<T> logits_of(int64_t n, double spread, int levels) {
  std::vector<T> logits = random_values<T>(n, "logits", -spread, spread);
  if (levels > 0)
    for (T& x : logits)
      x = static_cast<T>(std::round(static_cast<float>(x) / spread * levels) * spread / levels);
  return logits;
}

// Draws with each rule from the same logits.
template <class T>
void check_sample(const std::vector<T>& logits, const std::vector<SamplingRule>& rules) {
  const Stream stream;
  const Cuda cuda{stream};
  const auto n = static_cast<int64_t>(logits.size());
  Both<T> x(logits);
  Both<int32_t> drawn(static_cast<int64_t>(rules.size()));
  const auto both = [&](auto on) {
    for (size_t i = 0; i < rules.size(); ++i) sample(on, rules[i], x.on(on), n, drawn.on(on) + i);
  };
  both(Cpu{});
  both(cuda);
  CHECK(drawn.device.values() == drawn.host);
}

}  // namespace

TEST_CASE_TEMPLATE("sample draws what the CPU draws", T, float, double, bfloat16) {
  const RandomStream random{.seed = 3, .stream = stream_of("draws")};
  uint64_t block = 0;
  const auto next = [&] {
    const Philox4 words = random.words(block++);
    return uint64_t{words[0]} << 32 | words[1];
  };
  const std::vector<int64_t> all = {1, 2, 31, 32, 33, 65, 129, 1025}, some = {33, 129};
  for (const int64_t n : std::is_same_v<T, float> ? all : some) {
    for (const int levels : {0, 3}) {
      std::vector<SamplingRule> rules;
      for (const float inverse_temperature : {1.0f, 0.3f}) {
        if (n > 100 && inverse_temperature < 1) continue;  // fewer of what takes long
        for (const int64_t top_k : {int64_t{0}, int64_t{1}, int64_t{2}, n / 2 + 1, n})
          for (const double top_p : {1.0, 0.9, 0.3, 1e-12})
            rules.push_back({inverse_temperature, top_k, top_p, next()});
      }
      for (int draw = 0; draw < 150; ++draw) rules.push_back({.inverse_temperature = 0.7f, .random = next()});
      CAPTURE(n);
      CAPTURE(levels);
      check_sample(logits_of<T>(n, 6, levels), rules);
    }
  }
}

TEST_CASE_TEMPLATE("sample at the ends, and from logits that are no numbers", T, float, double, bfloat16) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<SamplingRule> rules = {
      {}, {.random = ~uint64_t{0}}, {.top_k = 1}, {.top_k = 2}, {.top_p = 0.5, .random = ~uint64_t{0}}};
  const std::vector<std::vector<float>> rows = {{0.0f, -0.0f, 0.0f}, {-0.0f, 0.0f},  {-inf, 1, -inf},
                                                {1, nan, 2},         {nan, inf},     {1, inf, 2},
                                                {-inf, -inf},        {-1e30f, 1e30f}};
  for (const std::vector<float>& row : rows) {
    std::vector<T> logits;
    for (const float x : row) logits.push_back(static_cast<T>(x));
    check_sample(logits, rules);
  }
}
