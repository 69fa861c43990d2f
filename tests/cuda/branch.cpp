// Kernels that do the work of several ops on narrow rows: a transformer's branches, and its head with the loss. In bfloat16
// they have to be as near to the f64 of the ops that they stand for as these ops are in bfloat16, in root mean square and in
// the worst element.
#include <algorithm>
#include <array>
#include <cmath>

#include "bench/op_table/branches.h"
#include "core/cuda_backend.h"
#include "core/variants.h"
#include "op_check.h"

using namespace galvan;

namespace {

struct Distance {
  double root_mean_square = 0, largest = 0;
};

Distance distance(const Tensor& got, const Tensor& want) {
  const std::vector<double> a = got.to_vector(), b = want.to_vector();
  REQUIRE(a.size() == b.size());
  Distance d;
  for (size_t i = 0; i < a.size(); ++i) {
    REQUIRE(std::isfinite(a[i]));
    d.root_mean_square += (a[i] - b[i]) * (a[i] - b[i]);
    d.largest = std::max(d.largest, std::fabs(a[i] - b[i]));
  }
  d.root_mean_square = std::sqrt(d.root_mean_square / static_cast<double>(a.size()));
  return d;
}

double size_of_values(const Tensor& x) { return distance(x, Tensor::zeros(x.shape())).root_mean_square; }

// An op, the kernel that does it, what it is given, which inputs are left out, and which outputs have a gradient.
struct KernelCase {
  std::string op, kernel;
  OpCase given;
  std::vector<size_t> without = {};
  std::array<bool, 2> used = {true, true};
};

// The outputs, and the gradients of the inputs that have them.
std::vector<Tensor> results(const KernelCase& c, std::span<const Tensor> inputs) {
  std::vector<Tensor> xs, leaves;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool left_out = std::find(c.without.begin(), c.without.end(), i) != c.without.end();
    xs.push_back(left_out ? Tensor() : inputs[i].detach());
    if (!left_out && is_floating(inputs[i].dtype())) leaves.push_back(xs.back().set_requires_grad());
  }
  std::vector<Tensor> all = row_named(c.op).call(xs, c.given.attributes), used, dys;
  for (size_t j = 0; j < all.size(); ++j) {
    if (!c.used[j]) continue;
    used.push_back(all[j]);
    const Tensor dy = Tensor::uniform(all[j].shape(), {.low = -1, .seed = j}).to(DType::bf16);
    dys.push_back(dy.to(all[j].dtype()).to(all[j].device()));
  }
  for (const Tensor& dx : grad(used, leaves, dys)) all.push_back(dx);
  return all;
}

void check_kernel(const KernelCase& c) {
  CAPTURE(c.given.inputs[0].shape);
  CAPTURE(c.given.inputs[2].shape);
  const std::vector<Tensor> narrow = converted(make_inputs(c.given, DType::f64), DType::bf16);
  const auto by = [&](const char* version) {
    const ChosenVariant chosen(variants_of(c.op, "cuda"), version);
    return results(c, on_card(narrow));
  };
  const std::vector<Tensor> exact = results(c, converted(narrow, DType::f64)), composed = by("composed"),
                            got = by("one_kernel");
  const std::vector<cuda_backend::LaunchFacts> launches =
      cuda_backend::launches_of(kCuda, [&] { results(c, on_card(narrow)); });
  CHECK(std::any_of(launches.begin(), launches.end(), [&](const cuda_backend::LaunchFacts& launch) {
    return launch.kernel.find(c.kernel) != std::string::npos;
  }));
  REQUIRE(got.size() == exact.size());
  for (size_t i = 0; i < exact.size(); ++i) {
    CAPTURE(i);
    REQUIRE(got[i].defined() == exact[i].defined());
    if (!exact[i].defined()) continue;
    CHECK(got[i].dtype() == DType::bf16);
    const Distance ours = distance(got[i], exact[i]), allowed = distance(composed[i], exact[i]);
    const double unit = 0x1p-9 * size_of_values(exact[i]);
    CHECK(ours.root_mean_square <= 1.25 * allowed.root_mean_square + unit);
    CHECK(ours.largest <= 2 * allowed.largest + 4 * unit);
  }
}

// With heads of 32.
KernelCase attention_case(const Shape& x) {
  return {"attention_branch", "attention_sequence", attention_branch_case("attention", x, x.back() / 32)};
}
KernelCase mlp_case(const Shape& x, int64_t hidden) {
  return {"mlp_branch", "mlp_rows", mlp_branch_case("mlp", x, hidden)};
}
KernelCase loss_case(const Shape& x, int64_t classes) {
  return {"linear_cross_entropy", "class_losses", linear_cross_entropy_case("loss", x, classes)};
}

// In turn: with all; without biases; with a gradient of the sum alone; with one of its norm alone.
std::vector<KernelCase> each_way(const std::vector<KernelCase>& cases) {
  std::vector<KernelCase> all = cases;
  for (size_t i = 0; i < all.size(); ++i) {
    if (i % 4 == 1) all[i].without = {3, 5, 7};
    if (i % 4 == 2) all[i].used = {true, false};
    if (i % 4 == 3) all[i].used = {false, true};
  }
  return all;
}

}  // namespace

TEST_CASE("attention's branch as one kernel is as exact as its ops") {
  for (const KernelCase& c :
       each_way({attention_case({2, 64, 128}), attention_case({1, 48, 64}), attention_case({2, 49, 64}),
                 attention_case({2, 63, 64}), attention_case({3, 33, 64})}))
    check_kernel(c);
}

TEST_CASE("an MLP's branch as one kernel is as exact as its ops") {
  for (const KernelCase& c :
       each_way({mlp_case({2, 64, 128}, 512), mlp_case({1, 65, 64}, 32), mlp_case({2, 17, 64}, 64),
                 mlp_case({2, 5, 64}, 64), mlp_case({3, 33, 64}, 96), mlp_case({1, 1, 128}, 32)}))
    check_kernel(c);
}

TEST_CASE("a head and its loss as one kernel are as exact as their ops") {
  for (const KernelCase& c : {loss_case({2, 64, 128}, 65), loss_case({3, 33, 64}, 128), loss_case({1, 64}, 1),
                              loss_case({5, 13, 64}, 16), loss_case({17, 128}, 97)})
    check_kernel(c);
}

TEST_CASE("a branch's gradients may come from anywhere in memory") {
  for (const KernelCase& c : {attention_case({2, 40, 64}), mlp_case({3, 5, 64}, 32)}) {
    const std::vector<Tensor> inputs = on_card(converted(make_inputs(c.given, DType::f64), DType::bf16));
    const int64_t n = inputs[0].numel();
    const auto gradients = [&](int64_t offset) {
      const Tensor dy = Tensor::uniform({n + 1}, {.low = -1, .seed = 1}).to(DType::bf16).to(kCuda);
      const Tensor moved = Tensor::zeros({n + 8}, {.dtype = DType::bf16, .device = kCuda});
      const Tensor part = moved.slice(0, offset, offset + n);
      part.copy_(dy.slice(0, 0, n));
      std::vector<Tensor> xs;
      for (const Tensor& x : inputs) xs.push_back(x.detach().set_requires_grad());
      const Outputs ys = row_named(c.op).call(xs, c.given.attributes);
      const Tensor upstream = part.reshape(inputs[0].shape());
      std::vector<std::vector<double>> values;
      for (const Tensor& dx : grad(ys, xs, std::vector{upstream, upstream})) values.push_back(dx.to_vector());
      return values;
    };
    CHECK(gradients(1) == gradients(0));
  }
}

// The loss in f32, as it comes, and the gradients of loss.backward(), by the kernel and in f64; logits are up to about 60.
TEST_CASE("a head and its loss as one kernel train as their ops do, whatever the options") {
  const Tensor x = Tensor::uniform({3, 11, 64}, {.low = -4, .high = 4, .seed = 1}).to(DType::bf16),
               weight = Tensor::uniform({37, 64}, {.low = -4, .high = 4, .seed = 2}).to(DType::bf16),
               targets = Tensor::uniform({3, 11}, {.high = 37, .seed = 3}).to(DType::i32);
  const auto pass = [&](DType dtype, Device device, const CrossEntropyOptions& options) {
    const Tensor a = x.to(dtype).to(device).detach().set_requires_grad(),
                 w = weight.to(dtype).to(device).detach().set_requires_grad();
    const Tensor loss = linear_cross_entropy(a, w, targets.to(device), options);
    CHECK(loss.dtype() == acc_dtype(dtype));
    loss.backward();
    return std::vector{loss, a.grad(), w.grad()};
  };
  for (const CrossEntropyOptions& options :
       {CrossEntropyOptions{.ignore_index = CrossEntropyOptions::kNone}, CrossEntropyOptions{},
        CrossEntropyOptions{.ignore_index = static_cast<int64_t>(targets.to_vector()[5])},
        CrossEntropyOptions{.reduction = Reduction::sum}}) {
    CAPTURE(options.ignore_index);
    const std::vector<Tensor> got = pass(DType::bf16, kCuda, options),
                              exact = pass(DType::f64, kCpu, options);
    CHECK(std::fabs(got[0].item() - exact[0].item()) <= 1e-5 * std::fabs(exact[0].item()));
    for (const size_t i : {1, 2}) {
      const Distance d = distance(got[i], exact[i]);
      CHECK(d.root_mean_square <= 0x1p-8 * size_of_values(exact[i]));
      CHECK(d.largest <= 0x1p-5 * size_of_values(exact[i]));
    }
    const NoGrad guard;
    const Tensor alone = linear_cross_entropy(x.to(kCuda), weight.to(kCuda), targets.to(kCuda), options);
    CHECK(alone.item() == got[0].item());
  }
  const auto kernels_of = [&](const CrossEntropyOptions& options) {
    std::string all;
    for (const auto& launch : cuda_backend::launches_of(kCuda, [&] { pass(DType::bf16, kCuda, options); }))
      all += launch.kernel + ' ';
    return all;
  };
  CHECK(kernels_of({}).find("class_losses") != std::string::npos);
  CHECK(kernels_of({.label_smoothing = 0.1}).find("class_losses") == std::string::npos);
}

TEST_CASE("a head's loss by a kernel is NaN where a logit is") {
  const Tensor x = Tensor::uniform({5, 64}, {.seed = 1}), weight = Tensor::uniform({9, 64}, {.seed = 2});
  x.data<float>()[2 * 64 + 3] = std::nanf("");
  const auto on_card = [](const Tensor& t) {
    return t.to(DType::bf16).to(kCuda).detach().set_requires_grad();
  };
  const Tensor targets = Tensor::zeros({5}, {.dtype = DType::i32, .device = kCuda});
  CHECK(std::isnan(linear_cross_entropy(on_card(x), on_card(weight), targets).item()));
}

TEST_CASE("a head's loss by a kernel refuses a target that is no class") {
  const Tensor x = Tensor::zeros({2, 64}, {.dtype = DType::bf16, .device = kCuda}).set_requires_grad(),
               weight = Tensor::zeros({3, 64}, {.dtype = DType::bf16, .device = kCuda}),
               targets = Tensor::from(std::vector<double>{0, 3}, {2}, {.dtype = DType::i32}).to(kCuda);
  CHECK_THROWS_WITH_AS(linear_cross_entropy(x, weight, targets, {.ignore_index = CrossEntropyOptions::kNone}),
                       "linear_cross_entropy: target 3 of row 1 is not a class, V is 3", Error);
}
