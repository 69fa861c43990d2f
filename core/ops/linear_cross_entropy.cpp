// linear_cross_entropy: a composition of ops or, where the card has a kernel for it (core/linear_cross_entropy.h), that,
// which leaves out the gradient of the weight:
//   dweight = dlogits^T x
#include "core/linear_cross_entropy.h"

#include "core/autograd.h"
#include "core/ops/index.h"
#include "core/ops/products.h"

namespace galvan {
namespace {

#ifdef GALVAN_CUDA

// Whether the kernel, which makes gradients of a mean over all rows, takes them.
bool fit_kernel(const Tensor& x, const Tensor& weight, const Tensor& targets,
                const CrossEntropyOptions& options) {
  if (!is_packed_on_card<bfloat16>(x) || !is_packed_on_card<bfloat16>(weight) ||
      targets.device() != x.device() || targets.dtype() != DType::i32 || !targets.is_contiguous() ||
      x.rank() == 0 || x.numel() == 0 || weight.rank() != 2 || weight.size(1) != x.size(-1))
    return false;
  Shape rows = x.shape();
  rows.erase(rows.rank() - 1);
  return targets.shape() == rows && options.ignore_index == CrossEntropyOptions::kNone &&
         options.label_smoothing == 0 && options.reduction == Reduction::mean && grad_enabled() &&
         (x.requires_grad() || weight.requires_grad()) &&
         takes_linear_cross_entropy(weight.size(1), weight.size(0));
}

Tensor by_kernel(const Tensor& x, const Tensor& weight, const Tensor& targets) {
  const int64_t N = targets.numel(), C = weight.size(1), V = weight.size(0);
  const BadIndex bad = find_bad_index(targets, V);
  check(bad.position < 0, "linear_cross_entropy: target ", bad.value, " of row ", bad.position,
        " is not a class, V is ", V);
  const TensorOptions wide{.dtype = DType::f32, .device = x.device()};
  const Tensor losses = Tensor::empty({N}, wide), loss = Tensor::empty({}, wide);
  const Tensor dlogits = Tensor::empty({N, V}, {.dtype = x.dtype(), .device = x.device()});
  const Tensor dx = Tensor::empty_like(x);
  dispatch<"linear_cross_entropy">(x, [&]<class T>(auto on) {
    if constexpr (std::is_same_v<T, bfloat16> && std::is_same_v<decltype(on), Cuda>) {
      profile::computes(4.0 * double(N) * double(C) * double(V));
      linear_cross_entropy(on, {.x = x.data<T>(),
                                .weight = weight.data<T>(),
                                .targets = targets.data<int32_t>(),
                                .losses = losses.data<float>(),
                                .dlogits = dlogits.data<T>(),
                                .dx = dx.data<T>(),
                                .rows = N,
                                .columns = C,
                                .classes = V});
      const CrossEntropyRows rows{.targets = targets.data<int32_t>(),
                                  .rows = N,
                                  .classes = V,
                                  .ignore_index = CrossEntropyOptions::kNone,
                                  .label_smoothing = 0};
      cross_entropy_total<float>(on, rows, losses.data<float>(), true, loss.data<float>());
    }
  });
  const auto backward = [x = save(x), dx, dlogits](const Tensor& dy, Needs needs) -> Grads {
    const auto scaled = [&dy](const Tensor& gradient) {
      return autograd::is_seed(dy) ? gradient : mul(gradient.to(dy.dtype()), dy).to(gradient.dtype());
    };
    Grads grads(2);
    if (needs[0]) grads[0] = scaled(dx);
    if (needs[1]) {
      grads[1] = needs.grad_place(1, x->device());
      weight_gradient(scaled(dlogits), rows_of(x), grads[1]);
    }
    return grads;
  };
  return record("linear_cross_entropy", loss, {x, weight}, backward);
}

#endif

}  // namespace

Tensor linear_cross_entropy(const Tensor& x, const Tensor& weight, const Tensor& targets,
                            CrossEntropyOptions options) {
  check_same_kind("linear_cross_entropy", x, weight);
  check_defined("linear_cross_entropy", targets);
  const DTypes types = types_of("linear_cross_entropy");
  check(types.contains(x.dtype()), "linear_cross_entropy: takes ", list_of(types), ", not ", x.dtype());
#ifdef GALVAN_CUDA
  if (fit_kernel(x, weight, targets, options)) return by_kernel(x, weight, targets);
#endif
  return cross_entropy(linear(x, weight), targets, options);
}

}  // namespace galvan
