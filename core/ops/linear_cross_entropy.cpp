// linear_cross_entropy: a composition of ops or, where the card has a kernel (core/linear_cross_entropy.h), that one. The
// kernel leaves out the gradient of the weight, a sum over all rows:
//   dweight = dlogits^T x
#include "core/linear_cross_entropy.h"

#include "core/autograd.h"
#include "core/ops/index.h"
#include "core/ops/products.h"

namespace galvan {
namespace {

#ifdef GALVAN_CUDA

bool fit_kernel(const Tensor& x, const Tensor& weight, const Tensor& targets,
                const CrossEntropyOptions& options) {
  if (!is_packed_on_card<bfloat16>(x) || !is_packed_on_card<bfloat16>(weight) ||
      targets.device() != x.device() || targets.dtype() != DType::i32 || !targets.is_contiguous() ||
      x.rank() == 0 || x.numel() == 0 || weight.rank() != 2 || weight.size(1) != x.size(-1))
    return false;
  Shape rows = x.shape();
  rows.erase(rows.rank() - 1);
  return targets.shape() == rows && options.label_smoothing == 0 && options.reduction != Reduction::none &&
         takes_linear_cross_entropy(weight.size(1), weight.size(0));
}

Tensor by_kernel(const Tensor& x, const Tensor& weight, const Tensor& targets,
                 const CrossEntropyOptions& options) {
  const int64_t N = targets.numel(), C = weight.size(1), V = weight.size(0);
  const BadIndex bad = find_bad_index(targets, V, options.ignore_index);
  check(bad.position < 0, "linear_cross_entropy: target ", bad.value, " of row ", bad.position,
        " is not a class, V is ", V);
  const CrossEntropyRows rows{.targets = targets.data<int32_t>(),
                              .rows = N,
                              .classes = V,
                              .ignore_index = options.ignore_index,
                              .label_smoothing = 0};
  const bool mean = options.reduction == Reduction::mean;
  const bool with_gradients = grad_enabled() && (x.requires_grad() || weight.requires_grad());
  const TensorOptions wide{.dtype = DType::f32, .device = x.device()};
  const Tensor losses = Tensor::empty({N}, wide), loss = Tensor::empty({}, wide);
  Tensor dlogits, dx, upstream;
  if (with_gradients) {
    dlogits = Tensor::empty({N, V}, {.dtype = x.dtype(), .device = x.device()});
    dx = Tensor::empty_like(x);
    if (!mean) {
      upstream = Tensor::ones({}, wide);
    } else if (options.ignore_index != CrossEntropyOptions::kNone) {
      upstream = Tensor::empty({}, wide);
    }
  }
  dispatch_on_card<"linear_cross_entropy">(x, [&](Cuda on) {
    profile::computes((with_gradients ? 4.0 : 2.0) * double(N) * double(C) * double(V));
    if (mean && upstream.defined()) cross_entropy_weight<float>(on, rows, upstream.data<float>());
    linear_cross_entropy(on, {.rows = rows,
                              .x = x.data<bfloat16>(),
                              .weight = weight.data<bfloat16>(),
                              .upstream = upstream.defined() ? upstream.data<float>() : nullptr,
                              .losses = losses.data<float>(),
                              .dlogits = with_gradients ? dlogits.data<bfloat16>() : nullptr,
                              .dx = with_gradients ? dx.data<bfloat16>() : nullptr,
                              .columns = C});
    cross_entropy_total<float>(on, rows, losses.data<float>(), mean, loss.data<float>());
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
  if (fit_kernel(x, weight, targets, options)) return by_kernel(x, weight, targets, options);
#endif
  return cross_entropy(linear(x, weight), targets, options);
}

}  // namespace galvan
