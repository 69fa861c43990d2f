// The sums over the rows that are gradients of a branch's biases and of its norm's parameters (core/branch.h), of which
// each block of rows has made its own.
//   y[c] = sum_b partial[b, c]
// Shapes   partial [blocks, 3 C + first] in f32; norm_weight, norm_bias, bias [C], first_bias [first]: what is null is left out
// Memory   partial once, the sums once
// Compute  a FLOP an element: bandwidth-bound
// Launch   a column a thread
#include "cuda/branch.h"
#include "cuda/column_sums.h"

namespace galvan::branch {
namespace {

constexpr int kThreads = 64;

__device__ void add_blocks_of_branch(Sums sums, int64_t blocks, int columns, int first) {
  const int c = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  const int all = 3 * columns + first;
  if (c >= all) return;
  bfloat16* const y = c < columns       ? sums.norm_weight
                      : c < 2 * columns ? sums.norm_bias
                      : c < 3 * columns ? sums.bias
                                        : sums.first_bias;
  if (y)
    y[c < 3 * columns ? c % columns : c - 3 * columns] =
        bfloat16(sum_of_blocks(sums.partial + c, blocks, all));
}

}  // namespace

void add_partial_sums(Cuda on, const Sums& sums, int64_t blocks, int64_t columns, int64_t first) {
  launch_body<add_blocks_of_branch, Body{}>(blocks_for(3 * columns + first, kThreads), kThreads, 0, on.stream,
                                            sums, blocks, static_cast<int>(columns), static_cast<int>(first));
}

}  // namespace galvan::branch
