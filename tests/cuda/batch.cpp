// The card reads the batches that the sampler reads.
#include "kernel_test.h"

#include "models/dataset.h"

using namespace galvan;

TEST_CASE("a batch read on the card is the sampler's") {
  const Stream stream;
  const int64_t n = 5003;
  std::vector<int32_t> tokens(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) tokens[static_cast<size_t>(i)] = static_cast<int32_t>(i % 1009);
  const TokenArray array(tokens, 1009);
  const DeviceArray<int32_t> on_card(tokens);
  for (const BatchOrder order : {BatchOrder::epoch, BatchOrder::random, BatchOrder::in_turn})
    for (const int64_t context : {1, 31, 33, 256}) {
      const int64_t B = 3, cells = B * context;
      CAPTURE(context);
      const BatchSampler sampler(
          array, {100, n - 50},
          {.batch_size = B, .context = context, .micro_steps = 2, .seed = 7, .order = order});
      // In turn, what is past the end is nobody's batch.
      const int64_t last = order == BatchOrder::in_turn ? (n - 151) / context / (2 * B) - 1 : 1000000;
      for (const int64_t step : {int64_t{0}, int64_t{1}, last})
        for (const int64_t micro : {0, 1}) {
          const DeviceArray<int64_t> at(std::vector<int64_t>{step});
          const DeviceArray<int32_t> x(static_cast<size_t>(cells)), y(static_cast<size_t>(cells));
          read_batch(Cuda{stream}, sampler.windows(), at.data(), micro, on_card.data(), x.data(), y.data());
          std::vector<int32_t> want_x(static_cast<size_t>(cells)), want_y(want_x);
          sampler.read(step, micro, want_x, want_y);
          CHECK(x.values() == want_x);
          CHECK(y.values() == want_y);
          std::vector<int32_t> host_x(want_x.size()), host_y(want_x.size());
          read_batch(Cpu{}, sampler.windows(), &step, micro, tokens.data(), host_x.data(), host_y.data());
          CHECK(host_x == want_x);
          CHECK(host_y == want_y);
        }
    }
}
