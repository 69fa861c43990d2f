// Cross-entropies of rows' products with a table of classes, and the gradients of their sum or mean, as one kernel: on a card,
// in bfloat16, of narrow rows and few classes (cuda/linear_cross_entropy.cu; core/ops/linear_cross_entropy.cpp decides).
#pragma once

#include "core/kernels.h"

namespace galvan {

// Letters: N rows, C channels, V classes. rows.label_smoothing is 0.
struct LinearCrossEntropy {
  CrossEntropyRows rows;
  const bfloat16* x;       // [N, C]
  const bfloat16* weight;  // [V, C]
  const float* upstream;   // every row's gradient; null: 1 / N
  float* losses;           // [N]
  bfloat16* dlogits;       // [N, V]; null, as dx: gradients are not wanted
  bfloat16* dx;            // [N, C]
  int64_t columns;         // C
};

// Whether there is a kernel for these sizes, and it is what is to be used (core/variants.h): C of 64 or 128, V of 1 to 128.
bool takes_linear_cross_entropy(int64_t columns, int64_t classes);

void linear_cross_entropy(Cuda on, const LinearCrossEntropy& p);

}  // namespace galvan
