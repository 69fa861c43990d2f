// An index drawn from logits [V] (core/sampling_rule.h); no gradient.
#include <cmath>

#include "core/kernels.h"

namespace galvan {

Tensor sample(const Tensor& logits, const Sampling& from, uint64_t random) {
  check_defined("sample", logits);
  check(logits.rank() == 1, "sample: logits must be [V], got ", logits.shape());
  const int64_t classes = logits.size(0);
  check(classes >= 1 && classes <= kMostLogits, "sample: ", classes, " logits are not 1 to ", kMostLogits);
  check(from.temperature >= 0 && std::isfinite(from.temperature), "sample: temperature ", from.temperature,
        " is not 0 or more");
  check(from.top_k >= 0, "sample: top_k ", from.top_k, " is negative");
  check(from.top_p > 0 && from.top_p <= 1, "sample: top_p ", from.top_p, " is not in (0, 1]");
  SamplingRule rule{.inverse_temperature = static_cast<float>(1 / from.temperature),
                    .top_k = from.top_k,
                    .top_p = from.top_p,
                    .random = random};
  if (!std::isfinite(rule.inverse_temperature)) rule = {.top_k = 1};
  const Tensor x = dense(logits);
  Tensor drawn = Tensor::empty({}, {.dtype = DType::i32, .device = x.device()});
  dispatch<"sample">(
      x, [&]<class T>(auto on) { sample<T>(on, rule, x.data<T>(), classes, drawn.data<int32_t>()); });
  return drawn;
}

}  // namespace galvan
