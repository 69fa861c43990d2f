// Rows and elements picked by index, and the sums back.
//   y[b, t] = weight[index[b, t]] + positions[t]
//   y[o, j, i] = x[o, index[j], i]        dx[o, r, i] = sum over the j with index[j] = r of dy[o, j, i]
// Shapes   x, dx: [outer, rows, inner], y, dy: [outer, picks, inner]
// Memory   forward 2 outer picks inner sizeof(T) bytes; backward reads dy and writes dx once
// Order    a row of dx is one task's, which adds its rows of dy in the order of j: positions are sorted by row
//          first, by counting
#include <algorithm>
#include <vector>

#include "core/cpu/scratch.h"
#include "core/kernels.h"
#include "core/parallel.h"

namespace galvan {
namespace {

constexpr int64_t kGrain = 1 << 14;     // elements a task
constexpr int64_t kColumnBlock = 1024;  // columns of a row that are summed in one go

// positions[starts[r] .. starts[r + 1]) are the j with index[j] = r, ascending.
struct Buckets {
  std::vector<int32_t> starts, positions;
};

Buckets buckets_of(const int32_t* index, int64_t picks, int64_t rows) {
  Buckets b;
  b.starts.assign(rows + 1, 0);
  b.positions.resize(picks);
  for (int64_t j = 0; j < picks; ++j) ++b.starts[index[j] + 1];
  for (int64_t r = 0; r < rows; ++r) b.starts[r + 1] += b.starts[r];
  std::vector<int32_t> next(b.starts.begin(), b.starts.end() - 1);
  for (int64_t j = 0; j < picks; ++j) b.positions[next[index[j]]++] = static_cast<int32_t>(j);
  return b;
}

}  // namespace

int64_t find_bad_index(Cpu, const int32_t* index, int64_t n, int64_t limit, int64_t ignored) {
  bool good = true;  // the common case, without a branch
  for (int64_t i = 0; i < n; ++i) good &= (index[i] >= 0 && index[i] < limit) || index[i] == ignored;
  if (good) return -1;
  int64_t bad = 0;
  while ((index[bad] >= 0 && index[bad] < limit) || index[bad] == ignored) ++bad;
  return bad;
}

template <class T>
void embed(Cpu, const T* weight, const T* positions, const int32_t* index, T* y, int64_t batch,
           int64_t length, int64_t columns) {
  parallel_ranges(batch * length, std::max<int64_t>(1, kGrain / std::max<int64_t>(columns, 1)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t at = begin; at < end; ++at) {
                      const T* __restrict row = weight + index[at] * columns;
                      const T* __restrict position = positions + at % length * columns;
                      T* __restrict to = y + at * columns;
                      for (int64_t i = 0; i < columns; ++i)
                        to[i] =
                            static_cast<T>(static_cast<Acc<T>>(row[i]) + static_cast<Acc<T>>(position[i]));
                    }
                  });
}

template <class T>
void select_rows(Cpu, const T* x, const int32_t* index, T* y, int64_t outer, int64_t rows, int64_t picks,
                 int64_t inner) {
  parallel_ranges(outer * picks, std::max<int64_t>(1, kGrain / std::max<int64_t>(inner, 1)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t at = begin; at < end; ++at) {
                      const int64_t o = at / picks, row = index[at % picks];
                      std::copy_n(x + (o * rows + row) * inner, inner, y + at * inner);
                    }
                  });
}

template <class T>
void select_rows_backward(Cpu, const T* dy, const int32_t* index, T* dx, int64_t outer, int64_t rows,
                          int64_t picks, int64_t inner, bool accumulate) {
  const Buckets buckets = buckets_of(index, picks, rows);
  const int64_t blocks = (inner + kColumnBlock - 1) / kColumnBlock;
  // Rows of dy that a row of dx takes, on the average, count as its size.
  const int64_t row_size = std::min(inner, kColumnBlock) * (1 + picks / std::max<int64_t>(rows, 1));
  parallel_ranges(outer * rows * blocks, std::max<int64_t>(1, kGrain / std::max<int64_t>(row_size, 1)),
                  [&](int64_t begin, int64_t end) {
                    Acc<T> sums[kColumnBlock];
                    for (int64_t task = begin; task < end; ++task) {
                      const int64_t first = task % blocks * kColumnBlock, r = task / blocks % rows,
                                    o = task / blocks / rows;
                      const int64_t columns = std::min(kColumnBlock, inner - first);
                      std::fill_n(sums, columns, Acc<T>{});
                      for (int32_t p = buckets.starts[r]; p < buckets.starts[r + 1]; ++p) {
                        const T* row = dy + (o * picks + buckets.positions[p]) * inner + first;
                        for (int64_t i = 0; i < columns; ++i) sums[i] += static_cast<Acc<T>>(row[i]);
                      }
                      T* to = dx + (o * rows + r) * inner + first;
                      if (accumulate)
                        for (int64_t i = 0; i < columns; ++i) sums[i] += static_cast<Acc<T>>(to[i]);
                      for (int64_t i = 0; i < columns; ++i) to[i] = static_cast<T>(sums[i]);
                    }
                  });
}

namespace {

// Calls line(offset in the dense `shape`, offset in the strided tensor, step in `shape` along dim) for each
// line along dim.
template <class Line>
void for_each_line(const Shape& shape, const Strides& strides, int dim, const Line& line) {
  if (shape.numel() == 0) return;
  const int64_t length = shape[dim], lines = shape.numel() / length;
  const Strides dense = contiguous_strides(shape);
  parallel_ranges(lines, std::max<int64_t>(1, kGrain / length), [&](int64_t begin, int64_t end) {
    for (int64_t l = begin; l < end; ++l) {
      int64_t rest = l, at = 0, other = 0;
      for (int i = shape.rank() - 1; i >= 0; --i) {
        if (i == dim) continue;
        const int64_t coordinate = rest % shape[i];
        rest /= shape[i];
        at += coordinate * dense[i];
        other += coordinate * strides[i];
      }
      line(at, other, dense[dim]);
    }
  });
}

}  // namespace

template <class T>
void gather(Cpu, const T* x, const Strides& x_strides, const int32_t* index, T* y, const Shape& shape,
            int dim) {
  for_each_line(shape, x_strides, dim, [&](int64_t at, int64_t from, int64_t step) {
    for (int64_t j = 0; j < shape[dim]; ++j)
      y[at + j * step] = x[from + index[at + j * step] * x_strides[dim]];
  });
}

template <class T>
void gather_backward(Cpu, const T* dy, const int32_t* index, T* dx, const Strides& dx_strides,
                     const Shape& shape, int dim) {
  for_each_line(shape, dx_strides, dim, [&](int64_t at, int64_t to, int64_t step) {
    for (int64_t j = 0; j < shape[dim]; ++j) {
      T& sum = dx[to + index[at + j * step] * dx_strides[dim]];
      sum = static_cast<T>(static_cast<Acc<T>>(sum) + static_cast<Acc<T>>(dy[at + j * step]));
    }
  });
}

#define GALVAN_PICK(T)                                                                              \
  template void select_rows(Cpu, const T*, const int32_t*, T*, int64_t, int64_t, int64_t, int64_t); \
  template void gather(Cpu, const T*, const Strides&, const int32_t*, T*, const Shape&, int);
#define GALVAN_PICK_BACKWARD(T)                                                                             \
  template void embed(Cpu, const T*, const T*, const int32_t*, T*, int64_t, int64_t, int64_t);              \
  template void select_rows_backward(Cpu, const T*, const int32_t*, T*, int64_t, int64_t, int64_t, int64_t, \
                                     bool);                                                                 \
  template void gather_backward(Cpu, const T*, const int32_t*, T*, const Strides&, const Shape&, int);
GALVAN_PICK(float)
GALVAN_PICK(double)
GALVAN_PICK(bfloat16)
GALVAN_PICK(int32_t)
GALVAN_PICK(bool)
GALVAN_PICK_BACKWARD(float)
GALVAN_PICK_BACKWARD(double)
GALVAN_PICK_BACKWARD(bfloat16)

}  // namespace galvan
