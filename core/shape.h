// Shapes and strides: up to kMaxRank numbers, counted in elements, without an allocation.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>

#include "core/check.h"

namespace galvan {

inline constexpr int kMaxRank = 8;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes) {
    for (int64_t size : sizes) push_back(size);
  }

  int rank() const { return rank_; }
  int64_t operator[](int dim) const { return sizes_[dim]; }
  int64_t& operator[](int dim) { return sizes_[dim]; }
  int64_t back() const { return sizes_[rank_ - 1]; }
  const int64_t* begin() const { return sizes_.data(); }
  const int64_t* end() const { return sizes_.data() + rank_; }

  void push_back(int64_t size) {
    check(rank_ < kMaxRank, "shape: more than ", kMaxRank, " dimensions");
    sizes_[rank_++] = size;
  }
  void insert(int dim, int64_t size);
  void erase(int dim);

  // The product of the sizes; 1 for a scalar.
  int64_t numel() const {
    int64_t product = 1;
    for (int64_t size : *this) product *= size;
    return product;
  }

  bool operator==(const Shape& other) const {
    if (rank_ != other.rank_) return false;
    for (int i = 0; i < rank_; ++i)
      if (sizes_[i] != other.sizes_[i]) return false;
    return true;
  }

 private:
  std::array<int64_t, kMaxRank> sizes_{};
  int rank_ = 0;
};

using Strides = Shape;

// "[2, 3]".
std::ostream& operator<<(std::ostream& out, const Shape& shape);

// The strides of a dense row-major tensor: [12, 4, 1] for [2, 3, 4].
Strides contiguous_strides(const Shape& shape);

// The shape that a and b broadcast to (NumPy's rules: aligned at the last dimension, equal or 1).
// Throws "OP: shapes [2, 3] and [4] do not broadcast".
Shape broadcast(const char* op, const Shape& a, const Shape& b);

// Dimension `dim` of `rank`, counted from the end when negative. Throws "OP: dimension 3 is out of range for
// 2 dimensions".
int wrap_dim(const char* op, int dim, int rank);

}  // namespace galvan
