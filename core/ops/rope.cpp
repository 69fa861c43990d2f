// Rotary position embedding, half-split: for i < D/2, with the angle a = (t + position) theta^(-2i/D),
//   y_i = x_i cos a - x_(i+D/2) sin a        y_(i+D/2) = x_i sin a + x_(i+D/2) cos a
// The gradient is the rotation back, by -a.
#include "core/autograd.h"
#include "core/kernels.h"

namespace galvan {
namespace {

template <class T>
HeadRows<T> rows_of(const Tensor& x, int64_t batch_stride, int64_t head_stride, int64_t row_stride) {
  return {x.data<std::remove_const_t<T>>(), batch_stride, head_stride, row_stride};
}

// x [.., T, D], rotated; the result is dense.
Tensor rotated(const Tensor& x_in, RopeSizes sizes) {
  Tensor x = x_in.detach();
  if (x.strides().back() != 1 || x.rank() > 4) x = dense(x);
  if (x.rank() > 4) x = x.reshape({-1, 1, x.size(-2), x.size(-1)});
  while (x.rank() < 4) x = x.unsqueeze(0);
  sizes.B = x.size(0), sizes.H = x.size(1), sizes.T = x.size(2), sizes.D = x.size(3);
  Tensor y = Tensor::empty(x_in.shape(), {.dtype = x.dtype(), .device = x.device()});
  if (y.numel() == 0) return y;
  const int64_t head = sizes.T * sizes.D;
  dispatch<"rope">(x, [&]<class T>(auto on) {
    rope<T>(on, sizes, rows_of<const T>(x, x.strides()[0], x.strides()[1], x.strides()[2]),
            rows_of<T>(y, sizes.H * head, head, sizes.D));
  });
  return y;
}

// x [B, T, W], its first H D columns rotated as heads, the others copied; the result is dense.
Tensor packed_rotated(const Tensor& x_in, const RopeSizes& sizes) {
  const Tensor x = x_in.strides().back() == 1 ? x_in.detach() : dense(x_in);
  Tensor y = Tensor::empty(x.shape(), {.dtype = x.dtype(), .device = x.device()});
  if (y.numel() == 0) return y;
  dispatch<"rope">(x, [&]<class T>(auto on) {
    rope<T>(on, sizes, rows_of<const T>(x, x.strides()[0], sizes.D, x.strides()[1]),
            rows_of<T>(y, y.strides()[0], sizes.D, y.strides()[1]));
  });
  const int64_t first = sizes.H * sizes.D, width = x.size(2);
  y.slice(2, first, width).copy_(x.slice(2, first, width));
  return y;
}

}  // namespace

Tensor rope(const Tensor& x, int64_t position, double theta) {
  check_defined("rope", x);
  check(x.rank() >= 2, "rope: needs [.., T, D], got ", x.shape());
  check(x.size(-1) % 2 == 0, "rope: the head size ", x.size(-1), " is odd");
  check(theta > 0, "rope: theta ", theta, " is not positive");
  RopeSizes sizes{.B = 0, .H = 0, .T = 0, .D = 0, .position = position, .theta = theta, .inverse = false};
  Tensor y = rotated(x, sizes);
  sizes.inverse = true;
  return record("rope", y, {x}, [sizes](const Tensor& dy, Needs) -> Grads { return {rotated(dy, sizes)}; });
}

Tensor packed_rope(const Tensor& qkv, int64_t heads, int64_t kv_heads, int64_t position, double theta) {
  check_defined("packed_rope", qkv);
  check(heads > 0 && kv_heads > 0, "packed_rope: ", heads, " heads and ", kv_heads, " key/value heads");
  check(qkv.rank() == 3 && qkv.size(2) % (heads + 2 * kv_heads) == 0, "packed_rope: ", qkv.shape(),
        " is not [B, T, (", heads, " + 2 ", kv_heads, ") D]");
  RopeSizes sizes{.B = qkv.size(0),
                  .H = heads + kv_heads,
                  .T = qkv.size(1),
                  .D = qkv.size(2) / (heads + 2 * kv_heads),
                  .position = position,
                  .theta = theta,
                  .inverse = false};
  check(sizes.D % 2 == 0, "packed_rope: the head size ", sizes.D, " is odd");
  check(theta > 0, "packed_rope: theta ", theta, " is not positive");
  Tensor y = packed_rotated(qkv, sizes);
  sizes.inverse = true;
  return record("packed_rope", y, {qkv},
                [sizes](const Tensor& dy, Needs) -> Grads { return {packed_rotated(dy, sizes)}; });
}

}  // namespace galvan
