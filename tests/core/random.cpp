// Philox against the known answers published with Random123 (Salmon et al., SC 2011), and what is built on it.
#include "core/random.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "core/ops.h"
#include "core/parallel.h"

using namespace galvan;

TEST_CASE("Philox 4x32-10 gives Random123's known answers") {
  CHECK(philox({0, 0, 0, 0}, {0, 0}) == Philox4{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}) == Philox4{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Philox4{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("every part of an address changes the words") {
  const RandomStream base{.seed = 1, .stream = 2, .step = 3, .micro_step = 4};
  std::set<Philox4> words = {base.words(5), base.words(6), base.words(5 + (uint64_t{1} << 32))};
  for (const RandomStream& other :
       {RandomStream{.seed = 9, .stream = 2, .step = 3, .micro_step = 4},
        RandomStream{.seed = 1 + (uint64_t{1} << 32), .stream = 2, .step = 3, .micro_step = 4},
        RandomStream{.seed = 1, .stream = 9, .step = 3, .micro_step = 4},
        RandomStream{.seed = 1, .stream = 2, .step = 9, .micro_step = 4},
        RandomStream{.seed = 1, .stream = 2, .step = 3, .micro_step = 9}})
    words.insert(other.words(5));
  CHECK(words.size() == 8);
}

TEST_CASE("the streams of names and of ops never meet") {
  CHECK(stream_of("weight") != stream_of("bias"));
  CHECK((stream_of("weight") & 0x80000000u) != 0);
  RandomContext context;
  context.begin(7, 3, 1);
  const RandomStream first = context.next(), state = context.state(), second = context.next();
  CHECK(first.stream == 0);
  CHECK(second.stream == 1);
  CHECK(second.seed == 7);
  CHECK(second.step == 3);
  CHECK(second.micro_step == 1);
  context.restore(state);
  CHECK(context.next().stream == 1);
  CHECK_THROWS_WITH_AS(context.begin(1, 0, 65536), "random: micro-step 65536 is over 65535", Error);
}

TEST_CASE("uniform_from covers [0, 1)") {
  CHECK(uniform_from(0) == 0.0f);
  CHECK(uniform_from(~0u) == 1.0f - 0x1p-24f);
  CHECK(uniform_from(0x80000000u) == 0.5f);
}

TEST_CASE("random tensors have the moments they should, and depend on seed and stream alone") {
  const Tensor u = Tensor::uniform({100001}, {.low = -1.0, .high = 3.0, .seed = 5});
  CHECK(mean(u).item() == doctest::Approx(1.0).epsilon(0.02));
  CHECK(var(u).item() == doctest::Approx(16.0 / 12.0).epsilon(0.02));
  const Tensor n = Tensor::normal({100001}, {.mean = -0.5, .stddev = 2.0, .seed = 5});
  CHECK(mean(n).item() == doctest::Approx(-0.5).epsilon(0.05));
  CHECK(var(n).item() == doctest::Approx(4.0).epsilon(0.02));
  // A normal distribution has a kurtosis of 3, and 0.27 % beyond 3 standard deviations.
  const Tensor z = mul(add(n, 0.5), 0.5);
  CHECK(mean(pow(z, 4.0)).item() == doctest::Approx(3.0).epsilon(0.05));
  CHECK(mean(gt(abs(z), Tensor::full({}, 3.0)).to(DType::f32)).item() ==
        doctest::Approx(0.0027).epsilon(0.3));
  CHECK(Tensor::normal({100001}, {.mean = -0.5, .stddev = 2.0, .seed = 5}).to_vector() == n.to_vector());
  CHECK(Tensor::normal({7}, {.seed = 1, .stream = "a"}).to_vector() !=
        Tensor::normal({7}, {.seed = 1, .stream = "b"}).to_vector());
  CHECK(Tensor::normal({7}, {.seed = 1}).to_vector() != Tensor::normal({7}, {.seed = 2}).to_vector());
  // A longer tensor begins with a shorter one.
  const std::vector<double> shorter = Tensor::normal({33}, {.seed = 3}).to_vector();
  CHECK(Tensor::normal({1025}, {.seed = 3}).slice(0, 0, 33).to_vector() == shorter);
}
