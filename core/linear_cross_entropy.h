// The mean of cross-entropies of rows' products with a table of classes, and its gradients, as one kernel: on a card, in
// bfloat16, of narrow rows and few classes (cuda/linear_cross_entropy.cu; core/ops/linear_cross_entropy.cpp decides).
#pragma once

#include <cstdint>

#include "core/dispatch.h"

namespace galvan {

struct LinearCrossEntropy {
  const bfloat16* x;               // [N, C]
  const bfloat16* weight;          // [V, C]
  const int32_t* targets;          // [N], each in 0..V-1
  float* losses;                   // [N]
  bfloat16* dlogits;               // [N, V]: of the mean, as dx
  bfloat16* dx;                    // [N, C]
  int64_t rows, columns, classes;  // N, C, V
};

// Whether there is a kernel for these sizes, and it is what is to be used (core/variants.h).
bool takes_linear_cross_entropy(int64_t columns, int64_t classes);

void linear_cross_entropy(Cuda on, const LinearCrossEntropy& p);

}  // namespace galvan
