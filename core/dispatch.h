// From a tensor to a kernel: picks the execution context (device) and the element type, and calls a generic
// lambda.
//
//   dispatch<"softmax">(x, [&]<class T>(auto on) {
//     softmax_forward<T>(on, x.data<T>(), y.data<T>(), rows, columns);
//   });
//
// Kernels are overloaded on the context, `Cpu` or, in a build with CUDA, `Cuda`. The op's name finds its
// dtypes in kOpTypes at compile time, so a kernel is instantiated for those alone; any other dtype throws
// "softmax: takes f32, f64, bf16, not i32".
#pragma once

#include <algorithm>
#include <string>

#include "core/ops.h"
#include "core/profile.h"
#ifdef GALVAN_CUDA
#include "core/cuda_backend.h"
#endif

struct CUstream_st;

namespace galvan {

// Execution contexts. Cpu is empty: its kernels run on the process's thread pool. Cuda's kernels are put at the
// end of a stream (a cudaStream_t, whose header stays out of core).
struct Cpu {};
struct Cuda {
  CUstream_st* stream;
};

// A string literal as a template argument.
template <size_t N>
struct OpName {
  char text[N];
  constexpr OpName(const char (&literal)[N]) { std::copy_n(literal, N, text); }
};

std::string list_of(DTypes types);

// `file` and `line` are the caller's, for profiles.
template <OpName kOp, class F>
void dispatch(const Tensor& x, F&& kernel, const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  static constexpr DTypes kTypes = types_of(kOp.text);
  static_assert(
      [] {
        for (const OpTypes& row : kOpTypes)
          if (row.op == kOp.text) return true;
        return false;
      }(),
      "the op is missing in kOpTypes (core/ops.h)");
  const auto run = [&]<class T>() {
    if constexpr (kTypes.contains(dtype_of<T>)) {
      const profile::Op op(kOp.text, x.device(), file, line);
#ifdef GALVAN_CUDA
      if (!x.device().is_cpu()) return kernel.template operator()<T>(Cuda{cuda_backend::stream(x.device())});
#endif
      kernel.template operator()<T>(Cpu{});
    } else {
      fail(kOp.text, ": takes ", list_of(kTypes), ", not ", x.dtype());
    }
  };
  switch (x.dtype()) {
    case DType::f32:
      return run.template operator()<float>();
    case DType::f64:
      return run.template operator()<double>();
    case DType::bf16:
      return run.template operator()<bfloat16>();
    case DType::i32:
      return run.template operator()<int32_t>();
    case DType::boolean:
      return run.template operator()<bool>();
  }
}

// Throws unless all the tensors are defined and share a's dtype and device: "add: dtypes differ, f32 and
// f64".
void check_same_kind(const char* op, const Tensor& a, const Tensor& b);
// Throws "OP: got an undefined tensor".
void check_defined(const char* op, const Tensor& x);

// x's values as a kernel that takes no strides wants them: dense, outside the graph; x itself where it is
// dense.
Tensor dense(const Tensor& x);

}  // namespace galvan
