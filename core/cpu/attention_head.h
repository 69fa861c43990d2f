// Attention of one head in f32, with the vectors of one instruction set: what a task of attention.cpp runs.
//
// T is float or bfloat16; whatever it is, rows are widened to f32 when they are loaded, all arithmetic is f32
// and results are rounded when they are stored. `scratch` is the task's own.
#pragma once

#include "core/cpu/simd/isa.h"
#include "core/dtype.h"
#include "core/head_layout.h"

namespace galvan {

// Rows [first, last) of y[b, h] and of lse[b, h, Tq], the log-sum-exp of each row's scores.
template <Isa, class T>
void attention_head_forward(const AttentionSizes& sizes, int64_t b, int64_t h, int64_t first, int64_t last,
                            HeadRows<const T> q, HeadRows<const T> k, HeadRows<const T> v, HeadRows<T> y,
                            float* lse, float* scratch);

// dk[b, g], dv[b, g] and the dq of the H / G heads that read them.
template <Isa, class T>
void attention_head_backward(const AttentionSizes& sizes, int64_t b, int64_t g, HeadRows<const T> q,
                             HeadRows<const T> k, HeadRows<const T> v, HeadRows<const T> y,
                             HeadRows<const T> dy, const float* lse, HeadRows<T> dq, HeadRows<T> dk,
                             HeadRows<T> dv, float* scratch);

// How many floats of scratch they need.
int64_t attention_forward_scratch(const AttentionSizes& sizes);
int64_t attention_backward_scratch(const AttentionSizes& sizes);

// A tile of scores: kAttentionQueries x kAttentionKeys.
inline constexpr int64_t kAttentionQueries = 64;
inline constexpr int64_t kAttentionKeys = 64;

}  // namespace galvan
