// Cross-entropy of rows' products with a table of classes, and its gradients (core/linear_cross_entropy.h):
//   logits = x W^T        loss[n] = ln sum_v e^logits[n, v] - logits[n, target]        dx = dlogits W
//   dlogits = (softmax(logits) - 1[target]) upstream        loss and dlogits are 0 where the target is to be ignored
// Products are of bfloat16 with sums in f32; logits never leave the registers, dlogits are rounded before they meet W.
// Exponentials are to base 2, of logits times log2 e.
// Shapes   x, dx [N, C]; W [V, C]; targets, loss [N]; dlogits [N, V]; V at most kMostClasses
// Memory   x, W and targets once; loss, dlogits and dx once. Asked for, from L2: W by every kRows rows
// Compute  4 N C V FLOPs
// Launch   4 warps for kRows = 64 rows, 16 a warp; W stays in shared memory
#include "core/linear_cross_entropy.h"

#include <cmath>

#include "core/variants.h"
#include "cuda/branch.h"

namespace galvan {
namespace {

using namespace branch;

Variants variants("linear_cross_entropy", "cuda",
                  {{"one_kernel", "cuda/linear_cross_entropy.cu"},
                   {"composed", "core/ops/linear_cross_entropy.cpp"}},
                  Passes::both);

constexpr int kWarps = 4, kThreads = kWarps * 32;
constexpr int kMostClasses = 128;

template <int kC>
struct Shared {
  static constexpr int kStride = kStrideOf<kC>;
  bfloat16 rows[kRows * kStride];  // x, then dx
  bfloat16 weight[kMostClasses * kStride];
  bfloat16 dlogits[kRows * kMostClasses];  // dense, as in memory
};

template <int kC>
__device__ void class_losses(const LinearCrossEntropy& p) {
  constexpr int kStride = Shared<kC>::kStride, kTiles = kMostClasses / 8;
  Shared<kC>& shared = *dynamic_shared<Shared<kC>>();
  const int V = static_cast<int>(p.rows.classes);
  const WarpRows at(p.rows.rows);
  fetch_tile<kRows, kC, kStride, kThreads>(p.x + at.block_first * kC, kC, at.block_rows, kC, shared.rows);
  fetch_tile<kMostClasses, kC, kStride, kThreads>(p.weight, kC, V, kC, shared.weight);
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();  // all of both is there

  const auto wanted = [V](int block) { return 16 * block < V; };
  bfloat16* const own_rows = shared.rows + at.own * kStride;
  float d[kTiles][4] = {};  // logits, then their gradients
  add_product_transposed<kC>(d, LeftRows<kStride>{own_rows}, shared.weight, wanted);
  bfloat16* const dlogits = shared.dlogits + at.own * V;
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int row = pair_row() + 8 * half;
    const int target = row < at.rows ? p.rows.targets[at.first + row] : 0;
    const bool counts = row < at.rows && target != p.rows.ignore_index;
    float largest = -INFINITY, sum = 0, at_target = 0;
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      if (!wanted(n / 2)) continue;
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float& x = d[n][2 * half + e];
        const int v = 8 * n + pair_column() + e;
        x = v < V ? x * kLog2E : -INFINITY;
        if (v == target) at_target = x;
        largest = fmaxf(largest, x);
      }
    }
    largest = row_max(largest);
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      if (!wanted(n / 2)) continue;
#pragma unroll
      for (int e = 2 * half; e < 2 * half + 2; ++e) sum += d[n][e] = exp2_approx(d[n][e] - largest);
    }
    sum = row_sum(sum);
    at_target = row_sum(at_target);
    if (pair_column() == 0 && row < at.rows)
      p.losses[at.first + row] = counts ? std::log(sum) + (largest - at_target) * kLn2 : 0;
    if (!p.dx) continue;
    const float upstream = p.upstream ? *p.upstream : 1.0f / static_cast<float>(p.rows.rows);
    const float share = upstream / sum;
#pragma unroll
    for (int n = 0; n < kTiles; ++n) {
      if (!wanted(n / 2)) continue;
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        float& x = d[n][2 * half + e];
        const int v = 8 * n + pair_column() + e;
        x = counts ? x * share - (v == target ? upstream : 0) : 0;
        if (v < V) dlogits[row * V + v] = bfloat16(x);
      }
    }
  }
  if (!p.dx) return;
  float dx[kC / 8][4] = {};
  add_product<kMostClasses, kStride>(dx, LeftSums(d), shared.weight, wanted);
  __syncwarp();  // all lanes have read x before dx takes its place
  store_sums<kStride>(dx, own_rows);
  __syncwarp();  // the warp's rows are whole before they are stored
  copy_rows<16, kC, kStride>(own_rows, p.dx + at.first * kC, kC, at.rows);
  const int count = (at.rows < 16 ? at.rows : 16) * V;
  bfloat16* const to = p.dlogits + at.first * V;
  for (int i = lane_id() * 8; i < count; i += 32 * 8) {
    if (i + 8 <= count) {
      pack_at<8>(to + i) = pack_at<8>(dlogits + i);
    } else {
      for (int e = i; e < count; ++e) to[e] = dlogits[e];
    }
  }
}

template <int kC>
void launch_rows(Cuda on, const LinearCrossEntropy& p) {
  launch_body<class_losses<kC>, Body{.threads = kThreads, .blocks = 3}>(
      blocks_for(p.rows.rows, kRows), kThreads, sizeof(Shared<kC>), on.stream, p);
}

}  // namespace

bool takes_linear_cross_entropy(int64_t columns, int64_t classes) {
  return variants.chosen() == 0 && (columns == 64 || columns == 128) && classes > 0 &&
         classes <= kMostClasses;
}

void linear_cross_entropy(Cuda on, const LinearCrossEntropy& p) {
  if (p.rows.rows == 0) return;
  p.columns == 64 ? launch_rows<64>(on, p) : launch_rows<128>(on, p);
}

}  // namespace galvan
