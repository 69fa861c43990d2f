// y = x mask / (1 - p)        dx = dy mask / (1 - p)
// The mask is drawn twice, from the same address of the counter-based generator, and never stored.
#include "core/autograd.h"
#include "core/kernels.h"

namespace galvan {
namespace {

Tensor masked(const Tensor& x_in, double p, const RandomStream& stream) {
  const Tensor x = dense(x_in);
  Tensor y = Tensor::empty(x.shape(), {.dtype = x.dtype(), .device = x.device()});
  dispatch<"dropout">(
      x, [&]<class T>(auto on) { dropout<T>(on, stream, p, x.data<T>(), y.data<T>(), x.numel()); });
  return y;
}

}  // namespace

Tensor dropout(const Tensor& x, double p) {
  check_defined("dropout", x);
  check(p >= 0.0 && p < 1.0, "dropout: p ", p, " is not in [0, 1)");
  const RandomStream stream = RandomContext::current().next();
  return record("dropout", masked(x, p, stream), {x},
                [p, stream](const Tensor& dy, Needs) -> Grads { return {masked(dy, p, stream)}; });
}

}  // namespace galvan
