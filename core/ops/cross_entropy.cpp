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

}  // namespace

Tensor cross_entropy(const Tensor& logits_any, const Tensor& targets_any, CrossEntropyOptions options) {
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
  const bool each = options.reduction == Reduction::none;
  const Tensor losses = Tensor::empty(targets.shape(), wide), log_sums = Tensor::empty({rows.rows}, wide);
  const Tensor weight = each ? Tensor() : Tensor::empty({}, wide);
  const Tensor loss = each ? losses : Tensor::empty({}, wide);
  dispatch<"cross_entropy">(logits, [&]<class T>(auto on) {
    using A = Acc<T>;
    cross_entropy_forward<T>(on, rows, logits.data<T>(), losses.data<A>(), log_sums.data<A>());
    if (!each)
      cross_entropy_total<A>(on, rows, losses.data<A>(), options.reduction == Reduction::mean, loss.data<A>(),
                             weight.data<A>());
  });

  // dlogits = (softmax(logits) - t) dy, rows that are ignored 0
  return record("cross_entropy", loss, {logits},
                [logits = save(logits), targets = save(targets), log_sums, weight, rows](
                    const Tensor& upstream, Needs) -> Grads {
                  const Tensor dy = upstream.contiguous(), dlogits = Tensor::empty_like(*logits);
                  CrossEntropyRows p = rows;
                  p.targets = targets->data<int32_t>();
                  dispatch<"cross_entropy">(*logits, [&]<class T>(auto on) {
                    using A = Acc<T>;
                    cross_entropy_backward<T>(
                        on, p, logits->data<T>(), log_sums.data<A>(), dy.data<A>(), weight.defined() ? 0 : 1,
                        weight.defined() ? weight.data<A>() : nullptr, dlogits.data<T>());
                  });
                  return {dlogits};
                });
}

}  // namespace galvan
