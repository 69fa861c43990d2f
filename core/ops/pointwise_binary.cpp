// add, sub, mul, div, maximum, minimum, and scalar forms. A gradient of a broadcast operand is summed back to
// its shape.
#include "core/ops/pointwise.h"

namespace galvan {
Tensor add(const Tensor& a, const Tensor& b) {
  Tensor y = map<"add">(a, b, Add());
  return record("add", y, {a, b}, [a = a.shape(), b = b.shape()](const Tensor& dy, Needs needs) -> Grads {
    return {needs[0] ? sum_to(dy, a) : Tensor(), needs[1] ? sum_to(dy, b) : Tensor()};
  });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  Tensor y = map<"sub">(a, b, Sub());
  return record("sub", y, {a, b}, [a = a.shape(), b = b.shape()](const Tensor& dy, Needs needs) -> Grads {
    return {needs[0] ? sum_to(dy, a) : Tensor(), needs[1] ? neg(sum_to(dy, b)) : Tensor()};
  });
}

// da = b dy, db = a dy
Tensor mul(const Tensor& a, const Tensor& b) {
  Tensor y = map<"mul">(a, b, Mul());
  return record("mul", y, {a, b}, [a = save(a), b = save(b)](const Tensor& dy, Needs needs) -> Grads {
    return {needs[0] ? sum_to(mul(dy, b), a->shape()) : Tensor(),
            needs[1] ? sum_to(mul(dy, a), b->shape()) : Tensor()};
  });
}

// da = dy / b, db = -dy a / b^2
Tensor div(const Tensor& a, const Tensor& b) {
  Tensor y = map<"div">(a, b, Div());
  return record("div", y, {a, b}, [a = save(a), b = save(b)](const Tensor& dy, Needs needs) -> Grads {
    const Tensor da = div(dy, b);
    return {needs[0] ? sum_to(da, a->shape()) : Tensor(),
            needs[1] ? neg(sum_to(mul(da, div(a, b)), b->shape())) : Tensor()};
  });
}

namespace {

// y = f(a, b) picks one of the two; Share says how much of dy is a's (as an op on floating-point types, like div).
template <OpName kOp, class F, class Share>
Tensor pick(const Tensor& a, const Tensor& b, F f, Share share) {
  Tensor y = map<kOp>(a, b, f);
  return record(kOp.text, y, {a, b},
                [share, a = save(a), b = save(b)](const Tensor& dy, Needs needs) -> Grads {
                  return {needs[0] ? sum_to(mul(dy, map<"div">(*a, *b, share)), a->shape()) : Tensor(),
                          needs[1] ? sum_to(mul(dy, map<"div">(*b, *a, share)), b->shape()) : Tensor()};
                });
}

}  // namespace

Tensor maximum(const Tensor& a, const Tensor& b) { return pick<"maximum">(a, b, Maximum(), LargerShare()); }
Tensor minimum(const Tensor& a, const Tensor& b) { return pick<"minimum">(a, b, Minimum(), SmallerShare()); }

Tensor add(const Tensor& x, double c) {
  check_scalar("add", x, c);
  return record("add", map<"add">(x, AddScalar{c}), {x},
                [](const Tensor& dy, Needs) -> Grads { return {dy}; });
}

Tensor mul(const Tensor& x, double c) {
  check_scalar("mul", x, c);
  return record("mul", map<"mul">(x, MulScalar{c}), {x},
                [c](const Tensor& dy, Needs) -> Grads { return {mul(dy, c)}; });
}

Tensor neg(const Tensor& x) {
  return record("neg", map<"neg">(x, MulScalar{-1.0}), {x},
                [](const Tensor& dy, Needs) -> Grads { return {neg(dy)}; });
}

}  // namespace galvan
