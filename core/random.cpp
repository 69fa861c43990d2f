#include "core/random.h"

#include "core/check.h"

namespace galvan {

RandomContext& RandomContext::current() {
  thread_local RandomContext context;
  return context;
}

void RandomContext::begin(uint64_t seed, uint32_t step, uint32_t micro_step) {
  check(micro_step < 65536, "random: micro-step ", micro_step, " is over 65535");
  next_ = {.seed = seed, .stream = 0, .step = step, .micro_step = micro_step};
}

RandomPass::RandomPass(uint64_t seed, uint32_t micro_step, const int64_t* step)
    : before_(RandomContext::current().state()) {
  RandomContext& context = RandomContext::current();
  context.begin(seed, 0, micro_step);
  RandomStream stream = context.state();
  stream.step_from = step;
  context.restore(stream);
}

RandomStream RandomContext::next() {
  const RandomStream stream = next_;
  ++next_.stream;
  return stream;
}

}  // namespace galvan
