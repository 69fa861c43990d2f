// What a listener hears of ops (core/profile.h).
#include "core/profile.h"

#include <doctest/doctest.h>

#include <string>
#include <thread>
#include <vector>

#include "core/autograd.h"
#include "core/ops.h"

using namespace galvan;

namespace {

struct Heard : profile::Listener {
  std::vector<std::string> ops;  // "gelu", "mul in the backward of gelu"
  std::vector<int64_t> bytes;    // of each, a tensor as often as it is used
  double flops = 0;
  int64_t allocations = 0, open = 0;

  void op_begins(const char* op, Device, const char* file, int line) override {
    const char* const of = profile::backward_of();
    ops.push_back(of == nullptr ? op : *of == '\0' ? concat(op, " between") : concat(op, " of ", of));
    bytes.push_back(0);
    ++open;
    CHECK(std::string(file).find("core/ops/") != std::string::npos);
    CHECK(line > 0);
  }
  void op_ends() override { --open; }
  void uses(const void*, int64_t size) override {
    if (open > 0) bytes.back() += size;
  }
  void computes(double count) override { flops += count; }
  void launches(const char*) override {}
  void allocates(int64_t) override { ++allocations; }
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("each op is heard with its bytes, while somebody listens and on that thread alone") {
  const Tensor x = Tensor::ones({4, 8});
  Heard heard;
  {
    const profile::Listening listening(heard);
    add(x, x.slice(0, 0, 1));
    std::thread([&] { exp(x); }).join();
  }
  exp(x);
  CHECK(heard.ops == Names{"add"});
  CHECK(heard.bytes == std::vector<int64_t>{4 * (32 + 8 + 32)});
  CHECK(heard.allocations == 1);
  CHECK(heard.open == 0);
}

TEST_CASE("elements that an expanded tensor repeats are there once") {
  const Tensor wide = Tensor::ones({1, 8}).expand({100, 8});
  Heard heard;
  const profile::Listening listening(heard);
  sum(add(wide, wide));
  REQUIRE(heard.ops.size() == 2);
  CHECK(heard.bytes[0] == 4 * (8 + 8 + 800));
}

TEST_CASE("a backward pass names the op whose gradient it is, and products have their FLOPs") {
  Tensor x = Tensor::ones({6, 5}), w = Tensor::ones({3, 5});
  x.set_requires_grad(), w.set_requires_grad();
  const Tensor y = sum(linear(x, w));
  Heard heard;
  {
    const profile::Listening listening(heard);
    y.backward();
  }
  int of_linear = 0;
  for (const std::string& op : heard.ops) of_linear += op == "linear of linear" ? 1 : 0;
  CHECK(of_linear == 2);
  CHECK(heard.flops == 2 * 2.0 * 6 * 5 * 3);

  Heard product, attended;
  {
    const profile::Listening listening(product);
    matmul(Tensor::ones({7, 2, 3}), Tensor::ones({7, 3, 4}));
  }
  CHECK(product.flops == 7 * 2.0 * 2 * 3 * 4);
  const Tensor q = Tensor::ones({2, 3, 4, 8});
  {
    const profile::Listening listening(attended);
    attention(q, q, q, {.causal = true});
  }
  CHECK(attended.flops == 2 * 3 * 4.0 * 8 * (1 + 2 + 3 + 4));
}

TEST_CASE("an op that fails has ended") {
  Heard heard;
  const profile::Listening listening(heard);
  CHECK_THROWS_AS(softmax(Tensor::zeros({2, 2}, {.dtype = DType::i32}), -1), Error);
  CHECK(heard.open == 0);
}
