// cross_entropy.
#include "core/autograd.h"
#include "core/kernels.h"
#include "core/ops/index.h"

namespace galvan {
namespace {

void check_inputs(const Tensor& logits, const Tensor& targets, const CrossEntropyOptions& options) {
  const char* op = "cross_entropy";
  check_defined(op, logits);
  check_defined(op, targets);
  check(logits.rank() > 0, op, ": logits need at least 1 dimension, got a scalar");
  check(targets.dtype() == DType::i32, op, ": targets are ", targets.dtype(), ", not i32");
  check(logits.device() == targets.device(), op, ": devices differ, ", logits.device(), " and ",
        targets.device());
  Shape rows = logits.shape();
  rows.erase(rows.rank() - 1);
  check(targets.shape() == rows, op, ": targets ", targets.shape(), " do not fit logits ", logits.shape());
  check(options.label_smoothing >= 0 && options.label_smoothing <= 1, op, ": label_smoothing ",
        options.label_smoothing, " is not in 0..1");
}

// Where `owned`, nobody but the caller, who gives them away, holds the logits.
Tensor cross_entropy_of(const Tensor& logits_any, const Tensor& targets_any, CrossEntropyOptions options,
                        bool owned) {
  check_inputs(logits_any, targets_any, options);
  const Tensor logits = logits_any.contiguous(), targets = targets_any.contiguous();
  const int64_t classes = logits.shape().back();
  const CrossEntropyRows rows{.targets = targets.data<int32_t>(),
                              .rows = targets.numel(),
                              .classes = classes,
                              .ignore_index = options.ignore_index,
                              .label_smoothing = options.label_smoothing};

  const BadIndex bad = find_bad_index(targets, classes, options.ignore_index);
  check(bad.position < 0, "cross_entropy: target ", bad.value, " of row ", bad.position,
        " is not a class, V is ", classes);

  // The loss is f32 for bf16 logits, too.
  const TensorOptions wide{.dtype = acc_dtype(logits.dtype()), .device = logits.device()};
  const Tensor losses = Tensor::empty(targets.shape(), wide);
  if (options.reduction == Reduction::none) {
    const Tensor log_sums = Tensor::empty({rows.rows}, wide);
    dispatch<"cross_entropy">(logits, [&]<class T>(auto on) {
      cross_entropy_forward<T>(on, rows, logits.data<T>(), losses.data<Acc<T>>(), log_sums.data<Acc<T>>());
    });
    // dlogits = (softmax(logits) - t) dy, rows that are ignored 0
    return record("cross_entropy", losses, {logits},
                  [logits = save(logits), targets = save(targets), log_sums, rows](const Tensor& upstream,
                                                                                   Needs) -> Grads {
                    const Tensor dy = upstream.contiguous(), dlogits = Tensor::empty_like(*logits);
                    CrossEntropyRows p = rows;
                    p.targets = targets->data<int32_t>();
                    dispatch<"cross_entropy">(*logits, [&]<class T>(auto on) {
                      cross_entropy_backward<T>(on, p, logits->data<T>(), log_sums.data<Acc<T>>(),
                                                dy.data<Acc<T>>(), dlogits.data<T>());
                    });
                    return {dlogits};
                  });
  }

  // One number comes out: its gradient, but for a factor, is known now, while the rows are at hand.
  const bool mean = options.reduction == Reduction::mean;
  const bool with_gradient = grad_enabled() && logits.requires_grad();
  const Tensor loss = Tensor::empty({}, wide);
  Tensor dlogits;
  if (with_gradient) dlogits = owned ? logits.detach() : Tensor::empty_like(logits);
  dispatch<"cross_entropy">(logits, [&]<class T>(auto on) {
    using A = Acc<T>;
    if (with_gradient) {
      Tensor weight;  // 1 / rows, unless given
      if (!mean) {
        weight = Tensor::ones({}, wide);
      } else if (options.ignore_index != CrossEntropyOptions::kNone) {
        weight = Tensor::empty({}, wide);
        cross_entropy_weight<A>(on, rows, weight.data<A>());
      }
      cross_entropy_both<T>(on, rows, logits.data<T>(), weight.defined() ? weight.data<A>() : nullptr,
                            losses.data<A>(), dlogits.data<T>());
    } else {
      const Tensor log_sums = Tensor::empty({rows.rows}, wide);
      cross_entropy_forward<T>(on, rows, logits.data<T>(), losses.data<A>(), log_sums.data<A>());
    }
    cross_entropy_total<A>(on, rows, losses.data<A>(), mean, loss.data<A>());
  });
  return record("cross_entropy", loss, {logits}, [dlogits](const Tensor& dy, Needs) -> Grads {
    if (autograd::is_seed(dy)) return {dlogits};
    return {mul(dlogits.to(dy.dtype()), dy).to(dlogits.dtype())};
  });
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& targets, CrossEntropyOptions options) {
  return cross_entropy_of(logits, targets, options, false);
}

Tensor cross_entropy(Tensor&& given, const Tensor& targets, CrossEntropyOptions options) {
  const Tensor logits = std::move(given);
  check_defined("cross_entropy", logits);
  // Nobody else: no other handle, no view, no op that has kept them for its backward.
  const bool owned = !logits.is_leaf() && logits.impl().use_count() == 1 &&
                     logits.impl()->storage.use_count() == 1 && logits.is_contiguous();
  return cross_entropy_of(logits, targets, options, owned);
}

}  // namespace galvan
