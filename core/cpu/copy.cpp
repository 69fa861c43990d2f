// Strided copy and fill.
//   y[i, ..] = x[i, ..], each with strides of its own (0 repeats an element), converted to y's type
// Memory   numel (sizeof(From) + sizeof(To)) bytes
#include "core/kernels.h"
#include "core/parallel.h"

namespace galvan {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements a task

// A shape with the strides of two tensors, size-1 dimensions dropped, neighbours that lie dense in both
// merged.
struct Walk {
  Shape shape;
  Strides x, y;
};

Walk merged(const Shape& shape, const Strides& x, const Strides& y) {
  Walk walk;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == 1) continue;
    const int last = walk.shape.rank() - 1;
    if (last >= 0 && walk.x[last] == x[i] * shape[i] && walk.y[last] == y[i] * shape[i]) {
      walk.shape[last] *= shape[i];
      walk.x[last] = x[i];
      walk.y[last] = y[i];
    } else {
      walk.shape.push_back(shape[i]);
      walk.x.push_back(x[i]);
      walk.y.push_back(y[i]);
    }
  }
  if (walk.shape.rank() == 0) {
    walk.shape.push_back(1);
    walk.x.push_back(1);
    walk.y.push_back(1);
  }
  return walk;
}

// Calls row(x offset, y offset, length) for pieces of the last dimension, in parallel.
template <class Row>
void for_each_row(const Walk& walk, const Row& row) {
  const int last = walk.shape.rank() - 1;
  const int64_t length = walk.shape[last];
  if (walk.shape.numel() == 0) return;
  const int64_t rows = walk.shape.numel() / length;
  if (rows == 1) {
    parallel_ranges(length, kGrain, [&](int64_t begin, int64_t end) {
      row(begin * walk.x[last], begin * walk.y[last], end - begin);
    });
    return;
  }
  parallel_ranges(rows, std::max<int64_t>(1, kGrain / length), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      int64_t rest = r, x = 0, y = 0;
      for (int dim = last - 1; dim >= 0; --dim) {
        const int64_t index = rest % walk.shape[dim];
        rest /= walk.shape[dim];
        x += index * walk.x[dim];
        y += index * walk.y[dim];
      }
      row(x, y, length);
    }
  });
}

template <class To, class From>
To convert(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<To, bool>) {
    return static_cast<Acc<From>>(value) != Acc<From>{};
  } else if constexpr (std::is_same_v<To, bfloat16>) {
    return bfloat16(static_cast<float>(value));
  } else {
    return static_cast<To>(static_cast<Acc<From>>(value));
  }
}

}  // namespace

template <class From, class To>
void strided_copy(Cpu, const From* x, const Strides& x_strides, To* y, const Strides& y_strides,
                  const Shape& shape) {
  const Walk walk = merged(shape, x_strides, y_strides);
  const int64_t dx = walk.x[walk.shape.rank() - 1], dy = walk.y[walk.shape.rank() - 1];
  for_each_row(walk, [&](int64_t from, int64_t to, int64_t n) {
    const From* in = x + from;
    To* out = y + to;
    if (dx == 1 && dy == 1) {
      for (int64_t i = 0; i < n; ++i) out[i] = convert<To>(in[i]);
    } else {
      for (int64_t i = 0; i < n; ++i) out[i * dy] = convert<To>(in[i * dx]);
    }
  });
}

template <class T>
void fill(Cpu, T* y, const Strides& strides, const Shape& shape, T value) {
  const Walk walk = merged(shape, strides, strides);
  const int64_t step = walk.y[walk.shape.rank() - 1];
  for_each_row(walk, [&](int64_t, int64_t to, int64_t n) {
    for (int64_t i = 0; i < n; ++i) y[to + i * step] = value;
  });
}

#define GALVAN_COPY(From, To) \
  template void strided_copy(Cpu, const From*, const Strides&, To*, const Strides&, const Shape&);
#define GALVAN_COPY_FROM(From)                                                     \
  GALVAN_COPY(From, float)                                                         \
  GALVAN_COPY(From, double) GALVAN_COPY(From, bfloat16) GALVAN_COPY(From, int32_t) \
      GALVAN_COPY(From, bool) template void                                        \
      fill(Cpu, From*, const Strides&, const Shape&, From);
GALVAN_COPY_FROM(float)
GALVAN_COPY_FROM(double)
GALVAN_COPY_FROM(bfloat16)
GALVAN_COPY_FROM(int32_t)
GALVAN_COPY_FROM(bool)

}  // namespace galvan
