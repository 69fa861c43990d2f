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

// NaN wins, from either side. In two steps without a branch, so that loops become vector code.
struct Maximum {
  template <class T>
  GALVAN_HD T operator()(T a, T b) const {
    const T larger = a > b ? a : b;  // b where either is NaN
    return a != a ? a : larger;
  }
};

struct Minimum {
  template <class T>
  GALVAN_HD T operator()(T a, T b) const {
    const T smaller = a < b ? a : b;
    return a != a ? a : smaller;
  }
};

// How much of max(a, b)'s gradient is a's: half where they are equal.
struct LargerShare {
  template <class T>
  GALVAN_HD T operator()(T a, T b) const {
    return a < b ? T(0) : a == b ? static_cast<T>(0.5) : T(1);
  }
};

struct SmallerShare {
  template <class T>
  GALVAN_HD T operator()(T a, T b) const {
    return LargerShare()(b, a);
  }
};

struct Equal {
  template <class T>
  GALVAN_HD bool operator()(T a, T b) const {
    return a == b;
  }
};

struct NotEqual {
  template <class T>
  GALVAN_HD bool operator()(T a, T b) const {
    return a != b;
  }
};

struct Less {
  template <class T>
  GALVAN_HD bool operator()(T a, T b) const {
    return a < b;
  }
};

struct LessEqual {
  template <class T>
  GALVAN_HD bool operator()(T a, T b) const {
    return a <= b;
  }
};

// --- one input, with a derivative
struct Square {
  static constexpr bool kFromOutput = false;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    return x * x;
  }
  template <class T>
  GALVAN_HD T derivative(T x) const {
    return 2 * x;
  }
};

struct Pow {
  static constexpr bool kFromOutput = false;
  double exponent;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    return std::pow(x, static_cast<T>(exponent));
  }
  template <class T>
  GALVAN_HD T derivative(T x) const {
    return exponent == 0 ? T(0) : static_cast<T>(exponent) * std::pow(x, static_cast<T>(exponent - 1));
  }
};

struct Exp {
  static constexpr bool kFromOutput = true;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    return math::exp(x);
  }
  template <class T>
  GALVAN_HD T derivative(T y) const {
    return y;
  }
};

struct Log {
  static constexpr bool kFromOutput = false;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    return std::log(x);
  }
  template <class T>
  GALVAN_HD T derivative(T x) const {
    return 1 / x;
  }
};

struct Sqrt {
  static constexpr bool kFromOutput = true;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    return std::sqrt(x);
  }
  template <class T>
  GALVAN_HD T derivative(T y) const {
    return T(0.5) / y;
  }
};

struct Abs {
  static constexpr bool kFromOutput = false;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    if constexpr (std::is_integral_v<T>) {
      return x < 0 ? Sub()(T(0), x) : x;
    } else {
      return std::fabs(x);
    }
  }
  template <class T>
  GALVAN_HD T derivative(T x) const {
    return static_cast<T>(x > 0) - static_cast<T>(x < 0);
  }
};

struct Clamp {
  static constexpr bool kFromOutput = false;
  double low, high;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    const T raised = x < static_cast<T>(low) ? static_cast<T>(low) : x;  // NaN passes both
    return raised > static_cast<T>(high) ? static_cast<T>(high) : raised;
  }
  template <class T>
  GALVAN_HD T derivative(T x) const {
    return x >= static_cast<T>(low) && x <= static_cast<T>(high) ? T(1) : T(0);
  }
};

struct Relu {
  static constexpr bool kFromOutput = true;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    return x < 0 ? T(0) : x;
  }
  template <class T>
  GALVAN_HD T derivative(T y) const {
    return y > 0 ? T(1) : T(0);
  }
};

struct Sigmoid {
  static constexpr bool kFromOutput = true;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    return math::sigmoid(x);
  }
  template <class T>
  GALVAN_HD T derivative(T y) const {
    return y * (1 - y);
  }
};

struct Tanh {
  static constexpr bool kFromOutput = true;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    return math::tanh(x);
  }
  template <class T>
  GALVAN_HD T derivative(T y) const {
    return 1 - y * y;
  }
};

// y = x s(x), s = sigmoid;  y' = s + x s (1 - s)
struct Silu {
  static constexpr bool kFromOutput = false;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    return x / (1 + math::exp(-x));
  }
  template <class T>
  GALVAN_HD T derivative(T x) const {
    const T s = math::sigmoid(x);
    return s + x * s * (1 - s);
  }
};

// y = x/2 (1 + tanh(u)) = x s(2 u), u = sqrt(2/pi) (x + 0.044715 x^3);  y' = s + x s (1 - s) 2 u'
struct GeluTanh {
  static constexpr bool kFromOutput = false;
  template <class T>
  GALVAN_HD T operator()(T x) const {
#ifdef __CUDA_ARCH__
    return x * math::sigmoid(twice_u(x, x * x));  // where a division takes ten instructions
#else
    return x / (1 + math::exp(-twice_u(x, x * x)));
#endif
  }
  template <class T>
  GALVAN_HD T derivative(T x) const {
    const T square = x * x, s = math::sigmoid(twice_u(x, square));
    const T slope = static_cast<T>(kScale) + static_cast<T>(3 * kScale * kCubic) * square;
    return s + x * (s - s * s) * slope;
  }

 private:
  static constexpr double kScale = 1.5957691216057308;  // 2 sqrt(2/pi)
  static constexpr double kCubic = 0.044715;
  template <class T>
  GALVAN_HD static T twice_u(T x, T square) {
    return x * (static_cast<T>(kScale) + static_cast<T>(kScale * kCubic) * square);
  }
};

// y = x Phi(x), Phi(x) = (1 + erf(x / sqrt(2))) / 2;  y' = Phi(x) + x e^(-x^2/2) / sqrt(2 pi)
struct GeluExact {
  static constexpr bool kFromOutput = false;
  template <class T>
  GALVAN_HD T operator()(T x) const {
    return x * phi(x);
  }
  template <class T>
  GALVAN_HD T derivative(T x) const {
    return phi(x) + x * static_cast<T>(0.3989422804014327) * math::exp(T(-0.5) * x * x);
  }

 private:
  template <class T>
  GALVAN_HD static T phi(T x) {
    return T(0.5) * (1 + math::erf(x * static_cast<T>(0.7071067811865476)));
  }
};

}  // namespace galvan
