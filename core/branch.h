// A branch of a transformer's block (attention or MLP), the addition to the residual stream behind it, and the norm that
// the next branch begins with, as one kernel: on a card, in bfloat16, of a model that is narrow enough for 64 tokens'
// channels to stay on one multiprocessor. What it does is in cuda/branch_*.cu, whether it is used in core/ops/branch.cpp.
//
//   attention  qkv = x Wqkv^T + bqkv,  y = attention(qkv),  b = y Wout^T + bout
//   MLP        z = x Wup^T + bup,      h = gelu(z),         b = h Wdown^T + bdown
//   both       s = b + residual,       normed = layer_norm(s)
//
// Rounded to bfloat16 are qkv, y, h and s, and z where it is stored; b is not, nor is z on its way to h.
//
// Letters: N = B T rows, one a token; C channels; F hidden channels; H heads of D = C / H.
#pragma once

#include <cstdint>

#include "core/dispatch.h"

namespace galvan::branch {

// Where a branch ends. What is null is left out: biases.
struct EndForward {
  const bfloat16* bias;         // [C]: the last product's
  const bfloat16* residual;     // [N, C]
  const bfloat16* norm_weight;  // [C]
  const bfloat16* norm_bias;    // [C]
  bfloat16* sum;                // [N, C]: s
  bfloat16* normed;             // [N, C]
  float *mean, *rstd;           // [N]
  double eps;
};

struct AttentionForward {
  const bfloat16* x;                      // [B, T, C]
  const bfloat16 *qkv_weight, *qkv_bias;  // [3 C, C], [3 C]
  const bfloat16* out_weight;             // [C, C]
  bfloat16* qkv;                          // [B, T, 3 C]
  bfloat16* y;                            // [B, T, C]
  float* lse;                             // [B, H, T]: the log-sum-exp of each row's scores
  EndForward end;
  int64_t batch, length, heads, columns;  // B, T, H, C
};

struct MlpForward {
  const bfloat16* x;                    // [N, C]
  const bfloat16 *up_weight, *up_bias;  // [F, C], [F]
  const bfloat16* down_weight;          // [C, F]
  bfloat16* z;                          // [N, F]; null: it is not kept for a backward
  EndForward end;
  int64_t rows, columns, hidden;  // N, C, F
};

// The gradients of a branch's end, those of sum (null: it has none) and normed:
//   ds = rstd (g - sum_c g / C - xhat sum_c (g xhat) / C) + dsum,  g = dnormed norm_weight,  xhat = (s - mean) rstd
struct EndBackward {
  const bfloat16 *dsum, *dnormed;  // [N, C]
  const bfloat16* s;               // [N, C]
  const bfloat16* norm_weight;     // [C]
  const float *mean, *rstd;        // [N]
  bfloat16* ds;                    // [N, C]: of the residual, and of b
};

// Sums over the rows, of gradients of biases and of the norm's parameters; those that are null are not wanted.
struct Sums {
  bfloat16* norm_weight;  // [C]
  bfloat16* norm_bias;    // [C]
  bfloat16* bias;         // [C]: the last product's
  bfloat16* first_bias;   // [3 C] or [F]: the first product's
  float* partial;         // scratch: attention_blocks(B) (3 C + 3 C), mlp_blocks(N) (3 C + F)
};

struct AttentionBackward {
  EndBackward end;
  const bfloat16 *qkv, *y, *qkv_weight, *out_weight;
  const float* lse;
  bfloat16* dqkv;  // [B, T, 3 C]
  bfloat16* dx;    // [B, T, C]
  Sums sums;
  int64_t batch, length, heads, columns;
};

struct MlpBackward {
  EndBackward end;
  const bfloat16 *z, *up_weight, *down_weight;
  bfloat16 *h, *dz;  // [N, F]: h of z as it was rounded, for the gradient of Wdown
  bfloat16* dx;      // [N, C]
  Sums sums;
  int64_t rows, columns, hidden;
};

// Whether there are kernels for these sizes, and they are what is to be used (core/variants.h): C of 64 or 128, heads of
// 32, sequences of 33 to 64 tokens, since a block works on 64 rows whether they are there or not; F in 32s.
bool takes_attention(int64_t length, int64_t heads, int64_t columns);
bool takes_mlp(int64_t columns, int64_t hidden);
// Of how many rows' sums Sums::partial has room.
int64_t attention_blocks(int64_t batch);
int64_t mlp_blocks(int64_t rows);

void attention_forward(Cuda on, const AttentionForward& p);
void attention_backward(Cuda on, const AttentionBackward& p);
void mlp_forward(Cuda on, const MlpForward& p);
void mlp_backward(Cuda on, const MlpBackward& p);

}  // namespace galvan::branch
