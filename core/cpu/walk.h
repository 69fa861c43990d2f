// Walks over several strided tensors of one shape at a time, row by row.
#pragma once

#include <algorithm>
#include <array>

#include "core/parallel.h"
#include "core/shape.h"

namespace galvan {

// A shape with the strides of N tensors: size-1 dimensions dropped, neighbours that lie dense in all of them
// merged. At least one dimension is left.
template <size_t N>
struct Walk {
  Shape shape;
  std::array<Strides, N> strides;

  int64_t inner(size_t tensor) const { return strides[tensor].back(); }
};

template <size_t N>
Walk<N> merged(const Shape& shape, const std::array<const Strides*, N>& strides) {
  Walk<N> walk;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    const int last = walk.shape.rank() - 1;
    bool dense = last >= 0;
    for (size_t t = 0; t < N && dense; ++t) dense = walk.strides[t][last] == (*strides[t])[i] * shape[i];
    if (dense) {
      walk.shape[last] *= shape[i];
      for (size_t t = 0; t < N; ++t) walk.strides[t][last] = (*strides[t])[i];
    } else {
      walk.shape.push_back(shape[i]);
      for (size_t t = 0; t < N; ++t) walk.strides[t].push_back((*strides[t])[i]);
    }
  }
  if (walk.shape.rank() == 0) {
    walk.shape.push_back(1);
    for (size_t t = 0; t < N; ++t) walk.strides[t].push_back(1);
  }
  return walk;
}

// Calls row(offsets of the N tensors, length) for pieces of the last dimension, in parallel, about `grain`
// elements a task.
template <size_t N, class Row>
void for_each_row(const Walk<N>& walk, int64_t grain, const Row& row) {
  const int last = walk.shape.rank() - 1;
  const int64_t length = walk.shape[last];
  if (walk.shape.numel() == 0) return;
  std::array<int64_t, N> zero{};
  const int64_t rows = walk.shape.numel() / length;
  if (rows == 1) {
    parallel_ranges(length, grain, [&](int64_t begin, int64_t end) {
      std::array<int64_t, N> offsets = zero;
      for (size_t t = 0; t < N; ++t) offsets[t] = begin * walk.inner(t);
      row(offsets, end - begin);
    });
    return;
  }
  parallel_ranges(rows, std::max<int64_t>(1, grain / length), [&](int64_t begin, int64_t end) {
    Shape index = walk.shape;
    std::array<int64_t, N> offsets = zero;
    int64_t rest = begin;
    for (int dim = last - 1; dim >= 0; --dim) {
      index[dim] = rest % walk.shape[dim];
      rest /= walk.shape[dim];
      for (size_t t = 0; t < N; ++t) offsets[t] += index[dim] * walk.strides[t][dim];
    }
    for (int64_t r = begin; r < end; ++r) {
      row(offsets, length);
      for (int dim = last - 1; dim >= 0; --dim) {
        for (size_t t = 0; t < N; ++t) offsets[t] += walk.strides[t][dim];
        if (++index[dim] < walk.shape[dim]) break;
        for (size_t t = 0; t < N; ++t) offsets[t] -= walk.shape[dim] * walk.strides[t][dim];
        index[dim] = 0;
      }
    }
  });
}

}  // namespace galvan
