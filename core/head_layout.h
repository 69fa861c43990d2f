// How attention and rotary embeddings find the rows of their heads in memory, whatever the strides.
//
// Letters: B batch, H query heads, G key and value heads (G divides H), Tq queries, Tk keys, D head size.
#pragma once

#include <cstdint>

namespace galvan {

struct AttentionSizes {
  int64_t B, H, G, Tq, Tk, D;
  bool causal = false;  // query t sees keys up to t + (Tk - Tq), which needs Tk >= Tq
  double scale = 1.0;

  // The number of keys that a query sees, from key 0 on.
  constexpr int64_t visible(int64_t query) const { return causal ? query + Tk - Tq + 1 : Tk; }
};

struct RopeSizes {
  int64_t B, H, T, D;
  int64_t position;  // of row 0
  double theta;
  bool inverse;
};

// The rows [D] of a tensor [B, heads, T, D] whose last dimension is dense; strides count elements.
template <class T>
struct HeadRows {
  T* data;
  int64_t batch_stride, head_stride, row_stride;

  constexpr T* at(int64_t b, int64_t head, int64_t row) const {
    return data + b * batch_stride + head * head_stride + row * row_stride;
  }
};

}  // namespace galvan
