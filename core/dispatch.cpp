#include "core/dispatch.h"

namespace galvan {

std::string list_of(DTypes types) {
  std::string list;
  for (DType dtype : {DType::f32, DType::f64, DType::bf16, DType::i32, DType::boolean})
    if (types.contains(dtype)) list += (list.empty() ? "" : ", ") + std::string(name(dtype));
  return list;
}

void check_defined(const char* op, const Tensor& x) { check(x.defined(), op, ": got an undefined tensor"); }

Tensor dense(const Tensor& x) { return x.is_contiguous() ? x : x.detach().contiguous(); }

void check_same_kind(const char* op, const Tensor& a, const Tensor& b) {
  check_defined(op, a);
  check_defined(op, b);
  check(a.dtype() == b.dtype(), op, ": dtypes differ, ", a.dtype(), " and ", b.dtype());
  check(a.device() == b.device(), op, ": devices differ, ", a.device(), " and ", b.device());
}

}  // namespace galvan
