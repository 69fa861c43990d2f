#include "core/shape.h"

#include <algorithm>
#include <ostream>

namespace galvan {

void Shape::insert(int dim, int64_t size) {
  push_back(size);
  std::rotate(sizes_.begin() + dim, sizes_.begin() + rank_ - 1, sizes_.begin() + rank_);
}

void Shape::erase(int dim) {
  std::copy(sizes_.begin() + dim + 1, sizes_.begin() + rank_, sizes_.begin() + dim);
  --rank_;
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '[';
  for (int i = 0; i < shape.rank(); ++i) out << (i ? ", " : "") << shape[i];
  return out << ']';
}

Strides contiguous_strides(const Shape& shape) {
  Strides strides = shape;
  int64_t stride = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = stride;
    stride *= shape[i];
  }
  return strides;
}

Shape broadcast(const char* op, const Shape& a, const Shape& b) {
  if (a == b) return a;
  const int rank = std::max(a.rank(), b.rank());
  Shape result;
  for (int i = 0; i < rank; ++i) {
    const int in_a = i - (rank - a.rank());
    const int in_b = i - (rank - b.rank());
    const int64_t size_a = in_a < 0 ? 1 : a[in_a];
    const int64_t size_b = in_b < 0 ? 1 : b[in_b];
    check(size_a == size_b || size_a == 1 || size_b == 1, op, ": shapes ", a, " and ", b,
          " do not broadcast");
    result.push_back(size_a == 1 ? size_b : size_a);
  }
  return result;
}

int wrap_dim(const char* op, int dim, int rank) {
  check(dim >= -rank && dim < rank, op, ": dimension ", dim, " is out of range for ", rank, " dimensions");
  return dim < 0 ? dim + rank : dim;
}

}  // namespace galvan
