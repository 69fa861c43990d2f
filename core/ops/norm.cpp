// layer_norm and rms_norm, alone or behind the addition of a residual.
#include "core/autograd.h"
#include "core/kernels.h"

namespace galvan {
namespace {

enum class Kind { layer, rms };

void check_parameter(const char* op, const char* name, const Tensor& parameter, const Tensor& x) {
  if (!parameter.defined()) return;
  check_same_kind(op, x, parameter);
  check(parameter.shape() == Shape{x.shape().back()}, op, ": ", name, " ", parameter.shape(),
        " does not fit the last dimension of ", x.shape());
}

template <class T>
T* data_or_null(const Tensor& x) {
  return x.defined() ? x.data<T>() : nullptr;
}

// Row statistics are kept in the type that sums are made in.
TensorOptions statistics_of(const Tensor& x) { return {.dtype = acc_dtype(x.dtype()), .device = x.device()}; }

// The gradients of {x, weight, bias} from those of the sum s = x + residual (undefined: not used, or there is
// no residual) and of the normalised output.
template <OpName kOp>
Grads norm_gradients(const Tensor& s, const Tensor& weight, const Tensor& mean, const Tensor& rstd,
                     const Tensor& dsum, const Tensor& dnormed, bool want_dx, Tensor dweight, Tensor dbias) {
  const Tensor dy = dnormed.contiguous();
  const Tensor dsum_dense = dsum.defined() ? dsum.contiguous() : dsum;
  const Tensor dx = want_dx ? Tensor::empty_like(s) : Tensor();
  const int64_t columns = s.shape().back(), rows = columns > 0 ? s.numel() / columns : 0;
  const int sums = dweight.defined() + dbias.defined();
  const Tensor partial = Tensor::empty({sums * row_blocks(rows) * columns}, statistics_of(s));
  dispatch<kOp>(s, [&]<class T>(auto on) {
    norm_backward<T>(on, {.dsum = data_or_null<T>(dsum_dense),
                          .dy = dy.data<T>(),
                          .s = s.data<T>(),
                          .weight = data_or_null<T>(weight),
                          .mean = data_or_null<Acc<T>>(mean),
                          .rstd = rstd.data<Acc<T>>(),
                          .dx = data_or_null<T>(dx),
                          .dweight = data_or_null<T>(dweight),
                          .dbias = data_or_null<T>(dbias),
                          .partial = partial.data<Acc<T>>(),
                          .rows = rows,
                          .columns = columns});
  });
  return {dx, dweight, dbias};
}

// With a residual: {s, y}; without: {undefined, y}, or, where x is kept, {x, y}.
template <OpName kOp>
AddNorm norm(Kind kind, const Tensor& x_any, const Tensor* residual_any, const Tensor& weight_any,
             const Tensor& bias_any, double eps, bool keep = false) {
  const char* op = kOp.text;
  check_defined(op, x_any);
  check(x_any.rank() > 0, op, ": needs at least 1 dimension, got a scalar");
  check_parameter(op, "weight", weight_any, x_any);
  check_parameter(op, "bias", bias_any, x_any);
  check(eps >= 0, op, ": eps must not be negative, got ", eps);
  if (residual_any) {
    check_same_kind(op, x_any, *residual_any);
    check(x_any.shape() == residual_any->shape(), op, ": shapes differ, ", x_any.shape(), " and ",
          residual_any->shape());
  }
  const auto dense = [](const Tensor& t) { return t.defined() ? t.contiguous() : t; };
  const Tensor x = dense(x_any), weight = dense(weight_any), bias = dense(bias_any);
  const Tensor residual = residual_any ? dense(*residual_any) : Tensor();

  const int64_t columns = x.shape().back(), rows = columns > 0 ? x.numel() / columns : 0;
  Tensor sum = residual_any ? Tensor::empty_like(x) : Tensor();
  Tensor y = Tensor::empty_like(x);
  const Tensor mean = kind == Kind::layer ? Tensor::empty({rows}, statistics_of(x)) : Tensor();
  const Tensor rstd = Tensor::empty({rows}, statistics_of(x));
  dispatch<kOp>(x, [&]<class T>(auto on) {
    norm_forward<T>(on, {.x = x.data<T>(),
                         .residual = data_or_null<T>(residual),
                         .weight = data_or_null<T>(weight),
                         .bias = data_or_null<T>(bias),
                         .sum = data_or_null<T>(sum),
                         .y = y.data<T>(),
                         .mean = data_or_null<Acc<T>>(mean),
                         .rstd = rstd.data<Acc<T>>(),
                         .rows = rows,
                         .columns = columns,
                         .eps = eps});
  });

  if (!residual_any && !keep) {
    const auto backward = [x = save(x), weight = save(weight), mean, rstd](const Tensor& dy, Needs needs) {
      return norm_gradients<kOp>(x, weight, mean, rstd, {}, dy, needs[0], needs.grad_place(1, x->device()),
                                 needs.grad_place(2, x->device()));
    };
    return {{}, record(op, y, {x, weight, bias}, backward)};
  }
  // A residual's gradient is x's.
  const auto gradients = [s = save(keep ? x : sum), weight = save(weight), mean, rstd](
                             std::span<const Tensor> dys, const Needs& needs, size_t parameters) {
    const Tensor dy =
        dys[1].defined() ? dys[1] : Tensor::zeros(s->shape(), {.dtype = s->dtype(), .device = s->device()});
    return norm_gradients<kOp>(s, weight, mean, rstd, dys[0], dy, needs[0] || needs[parameters - 1],
                               needs.grad_place(parameters, s->device()),
                               needs.grad_place(parameters + 1, s->device()));
  };
  if (keep) {
    Tensor outputs[] = {x.detach(), y};
    const Tensor inputs[] = {x, weight, bias};
    record_outputs(op, outputs, inputs, [gradients](std::span<const Tensor> dys, Needs needs) -> Grads {
      return gradients(dys, needs, 1);
    });
    return {outputs[0], outputs[1]};
  }
  const auto backward = [gradients](std::span<const Tensor> dys, Needs needs) -> Grads {
    Grads grads = gradients(dys, needs, 2);
    grads.insert(grads.begin(), grads[0]);
    return grads;
  };
  Tensor outputs[] = {sum, y};
  const Tensor inputs[] = {x, residual, weight, bias};
  record_outputs(op, outputs, inputs, backward);
  return {outputs[0], outputs[1]};
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  return norm<"layer_norm">(Kind::layer, x, nullptr, weight, bias, eps).normed;
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  return norm<"rms_norm">(Kind::rms, x, nullptr, weight, {}, eps).normed;
}

AddNorm keep_layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double eps) {
  return norm<"keep_layer_norm">(Kind::layer, x, nullptr, weight, bias, eps, true);
}

AddNorm keep_rms_norm(const Tensor& x, const Tensor& weight, double eps) {
  return norm<"keep_rms_norm">(Kind::rms, x, nullptr, weight, {}, eps, true);
}

AddNorm add_layer_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, const Tensor& bias,
                       double eps) {
  return norm<"add_layer_norm">(Kind::layer, x, &residual, weight, bias, eps);
}

AddNorm add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight, double eps) {
  return norm<"add_rms_norm">(Kind::rms, x, &residual, weight, {}, eps);
}

}  // namespace galvan
