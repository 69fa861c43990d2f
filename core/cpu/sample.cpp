// Draws an index from logits by core/sampling_rule.h.
#include <algorithm>
#include <numeric>
#include <vector>

#include "core/kernels.h"

namespace galvan {

template <class T>
void sample(Cpu, const SamplingRule& rule, const T* logits, int64_t classes, int32_t* drawn) {
  using A = Acc<T>;
  const std::vector<A> x(logits, logits + classes);
  if (std::any_of(x.begin(), x.end(), [](A value) { return std::isnan(value); })) {
    *drawn = kLogitIsNan;
    return;
  }
  const auto best = std::max_element(x.begin(), x.end());  // the first of the largest
  if (!std::isfinite(*best)) {
    *drawn = kLargestLogitIsInfinite;
    return;
  }
  if (rule.top_k == 1) {
    *drawn = static_cast<int32_t>(best - x.begin());
    return;
  }

  std::vector<uint64_t> weights(x.size());
  for (size_t i = 0; i < x.size(); ++i)
    weights[i] = sampling_weight(static_cast<float>(x[i] - *best), rule.inverse_temperature);
  const auto sum = [&] { return std::accumulate(weights.begin(), weights.end(), uint64_t{0}); };

  const bool some = rule.top_k > 0 && rule.top_k < classes;
  if (some || rule.top_p < 1) {
    std::vector<int32_t> order(x.size());
    std::iota(order.begin(), order.end(), 0);
    const auto at = [&](int32_t i) -> auto& { return x[static_cast<size_t>(i)]; };
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return at(a) > at(b); });
    const auto drop_from = [&](size_t place) {
      for (; place < order.size(); ++place) weights[static_cast<size_t>(order[place])] = 0;
    };
    if (some) drop_from(static_cast<size_t>(rule.top_k));
    if (rule.top_p < 1) {
      const uint64_t target = sampling_target(sum(), rule.top_p);
      size_t kept = 0;
      for (uint64_t reached = 0; reached < target; ++kept)
        reached += weights[static_cast<size_t>(order[kept])];
      drop_from(kept);
    }
  }

  uint64_t left = sampling_point(sum(), rule.random);
  size_t i = 0;
  for (; left >= weights[i]; ++i) left -= weights[i];
  *drawn = static_cast<int32_t>(i);
}

template void sample(Cpu, const SamplingRule&, const float*, int64_t, int32_t*);
template void sample(Cpu, const SamplingRule&, const double*, int64_t, int32_t*);
template void sample(Cpu, const SamplingRule&, const bfloat16*, int64_t, int32_t*);

}  // namespace galvan
