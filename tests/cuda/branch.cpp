// A transformer's branches as one kernel on the card. In bfloat16 they have to be as near to the f64 of the ops that they
// stand for as these ops are in bfloat16, in root mean square and in the worst element.
#include <algorithm>
#include <array>
#include <cmath>

#include "core/cuda_backend.h"
#include "core/variants.h"
#include "op_check.h"

using namespace galvan;

namespace {

struct Distance {
  double squares = 0, largest = 0;
};

Distance distance(const Tensor& got, const Tensor& want) {
  const std::vector<double> a = got.to_vector(), b = want.to_vector();
  REQUIRE(a.size() == b.size());
  Distance d;
  for (size_t i = 0; i < a.size(); ++i) {
    REQUIRE(std::isfinite(a[i]));
    d.squares += (a[i] - b[i]) * (a[i] - b[i]);
    d.largest = std::max(d.largest, std::fabs(a[i] - b[i]));
  }
  return d;
}

double size_of_values(const Tensor& x) {
  double squares = 0;
  for (const double v : x.to_vector()) squares += v * v;
  return std::sqrt(squares / static_cast<double>(x.numel()));
}

struct BranchSizes {
  int64_t B, T, C, hidden;  // of an MLP; 0: attention
  bool biases = true;
};

OpCase case_of(const BranchSizes& n) {
  const auto weight = [](int64_t out, int64_t in) -> InputSpec {
    return {.shape = {out, in}, .scale = std::sqrt(3 / static_cast<double>(in))};
  };
  const bool mlp = n.hidden > 0;
  const int64_t first = mlp ? n.hidden : 3 * n.C;
  OpCase c{"branch",
           {{.shape = {n.B, n.T, n.C}},
            {.shape = {n.B, n.T, n.C}},
            weight(first, n.C),
            {.shape = {first}},
            weight(n.C, mlp ? n.hidden : n.C),
            {.shape = {n.C}},
            {.shape = {n.C}, .offset = 1.5},
            {.shape = {n.C}}}};
  if (!mlp) c.attributes["heads"] = n.C / 32;
  return c;
}

void check_branch(const BranchSizes& n, std::array<bool, 2> upstreams = {true, true}) {
  CAPTURE(n.B);
  CAPTURE(n.T);
  CAPTURE(n.C);
  CAPTURE(n.hidden);
  const std::string name = n.hidden > 0 ? "mlp_branch" : "attention_branch";
  const OpRow& row = row_named(name);
  const OpCase c = case_of(n);
  const std::vector<Tensor> narrow = converted(make_inputs(c, DType::f64), DType::bf16);
  const auto results = [&](const std::vector<Tensor>& inputs) {
    std::vector<Tensor> xs, leaves;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const bool bias = i == 3 || i == 5 || i == 7;
      xs.push_back(bias && !n.biases ? Tensor() : inputs[i].detach());
      if (xs.back().defined()) leaves.push_back(xs.back().set_requires_grad());
    }
    std::vector<Tensor> all = row.call(xs, c.attributes), used, dys;
    for (size_t j = 0; j < all.size(); ++j) {
      if (!upstreams[j]) continue;
      used.push_back(all[j]);
      dys.push_back(Tensor::uniform(all[j].shape(), {.low = -1, .seed = j})
                        .to(DType::bf16)
                        .to(all[j].dtype())
                        .to(all[j].device()));
    }
    for (const Tensor& dx : grad(used, leaves, dys)) all.push_back(dx);
    return all;
  };
  const std::vector<Tensor> exact = results(converted(narrow, DType::f64));
  Variants& versions = variants_of(name, "cuda");
  const auto by = [&](const char* version) {
    const ChosenVariant chosen(versions, version);
    return results(on_card(narrow));
  };
  const std::vector<Tensor> composed = by("composed"), whole = by("one_kernel");
  const auto launches = cuda_backend::launches_of(kCuda, [&] { row.call(on_card(narrow), c.attributes); });
  REQUIRE(launches.size() == 1);
  CHECK(launches[0].kernel.find(n.hidden > 0 ? "mlp_rows" : "attention_sequence") != std::string::npos);
  REQUIRE(whole.size() == exact.size());
  for (size_t i = 0; i < exact.size(); ++i) {
    CAPTURE(i);
    REQUIRE(whole[i].defined() == exact[i].defined());
    if (!exact[i].defined()) continue;
    CHECK(whole[i].dtype() == DType::bf16);
    const Distance got = distance(whole[i], exact[i]), allowed = distance(composed[i], exact[i]);
    const double unit = 0x1p-9 * size_of_values(exact[i]), count = static_cast<double>(exact[i].numel());
    CHECK(std::sqrt(got.squares / count) <= 1.25 * std::sqrt(allowed.squares / count) + unit);
    CHECK(got.largest <= 2 * allowed.largest + 4 * unit);
  }
}

}  // namespace

TEST_CASE("attention's branch as one kernel is as exact as its ops") {
  check_branch({.B = 2, .T = 64, .C = 128, .hidden = 0});
  check_branch({.B = 3, .T = 33, .C = 64, .hidden = 0});
  check_branch({.B = 1, .T = 32, .C = 64, .hidden = 0, .biases = false});
  check_branch({.B = 2, .T = 17, .C = 64, .hidden = 0}, {true, false});
  check_branch({.B = 2, .T = 5, .C = 64, .hidden = 0}, {false, true});
  check_branch({.B = 5, .T = 1, .C = 64, .hidden = 0});
}

TEST_CASE("the MLP's branch as one kernel is as exact as its ops") {
  check_branch({.B = 2, .T = 64, .C = 128, .hidden = 512});
  check_branch({.B = 3, .T = 33, .C = 64, .hidden = 96});
  check_branch({.B = 1, .T = 65, .C = 64, .hidden = 32, .biases = false});
  check_branch({.B = 2, .T = 17, .C = 64, .hidden = 64}, {true, false});
  check_branch({.B = 2, .T = 5, .C = 64, .hidden = 64}, {false, true});
  check_branch({.B = 1, .T = 1, .C = 128, .hidden = 32});
}
