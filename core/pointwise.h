// The maths of every pointwise op, written once for all backends: small structs with operator() on float,
// double or int32_t values (bfloat16 is widened to float first). A struct that has a derivative says in
// kFromOutput what it takes: the op's output where that saves work, else its input.
#pragma once

#include <cstdint>
#include <type_traits>

#include "core/math.h"

namespace galvan {

// int32_t wraps around, in two's complement, as PyTorch's does.
template <class T, class F>
GALVAN_HD inline T wrapping(T a, T b, F f) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<T>(f(static_cast<uint32_t>(a), static_cast<uint32_t>(b)));
  } else {
    return f(a, b);
  }
}

struct Add {
  template <class T>
  GALVAN_HD T operator()(T a, T b) const {
    return wrapping(a, b, [](auto u, auto v) { return u + v; });
  }
};

struct Sub {
  template <class T>
  GALVAN_HD T operator()(T a, T b) const {
    return wrapping(a, b, [](auto u, auto v) { return u - v; });
  }
};

struct Mul {
  template <class T>
  GALVAN_HD T operator()(T a, T b) const {
    return wrapping(a, b, [](auto u, auto v) { return u * v; });
  }
};

struct Div {
  template <class T>
  GALVAN_HD T operator()(T a, T b) const {
    return a / b;
  }
};

struct AddScalar {
  double c;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    return Add()(x, static_cast<T>(c));
  }
};

struct MulScalar {
  double c;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    return Mul()(x, static_cast<T>(c));
  }
};

}  // namespace galvan
