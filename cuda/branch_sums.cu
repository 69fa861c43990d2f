// The sums over the rows that are gradients of a branch's biases and of its norm's parameters (core/branch.h), of which
// each block of rows has made its own.
//   y[c] = sum_b partial[b, c]
// Shapes   partial [blocks, 3 C + first] in f32; norm_weight, norm_bias, bias [C], first_bias [first]: what is null is left out
// Memory   partial once, the sums once
// Compute  a FLOP an element: bandwidth-bound
// Launch   32 columns a block (sum_by_strands, column_sums.h)
#include "cuda/branch.h"
#include "cuda/column_sums.h"

namespace galvan::branch {
namespace {

__device__ void sum_blocks_of_branch(Sums sums, int64_t blocks, int64_t columns, int64_t first) {
  sum_by_strands(sums.partial, blocks, 3 * columns + first, [&](int64_t c, float sum) {
    const int64_t place = c / columns;
    bfloat16* const y = place == 0   ? sums.norm_weight
                        : place == 1 ? sums.norm_bias
                        : place == 2 ? sums.bias
                                     : sums.first_bias;
    if (y) y[c - (place < 3 ? place : 3) * columns] = bfloat16(sum);
  });
}

}  // namespace

void add_partial_sums(Cuda on, const Sums& sums, int64_t blocks, int64_t columns, int64_t first) {
  launch_body<sum_blocks_of_branch, Body{}>(blocks_for(3 * columns + first, 32), kStrands * 32, 0, on.stream,
                                            sums, blocks, columns, first);
}

}  // namespace galvan::branch
