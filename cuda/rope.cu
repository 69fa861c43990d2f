// Rotary position embedding, half-split: a = (t + position) theta^(-2i/D), i < D/2,
//   y_i = x_i cos a - x_(i+D/2) sin a        y_(i+D/2) = x_i sin a + x_(i+D/2) cos a
// Shapes   x, y: [B, H, T, D]
// Memory   2 B H T D sizeof(T) bytes
// Compute  a sine and a cosine, in double, for each pair of a row [D]; kHeads heads share them
// Launch   a block takes row t of kHeads of the B H heads, 32 pairs at a time; its warps share the heads
#include <cmath>

#include "core/kernels.h"
#include "cuda/replicas.h"
#include "cuda/warp.h"

namespace galvan {
namespace {

constexpr int kWarps = 4;
constexpr int64_t kHeads = 64;

template <class T>
__device__ void turn_rows(RopeSizes sizes, HeadRows<const T> x, HeadRows<T> y) {
  using A = Acc<T>;
  GALVAN_SHARED(A[32], cosines);
  GALVAN_SHARED(A[32], sines);
  constexpr double kPi = 3.14159265358979323846;
  const int64_t t = blockIdx.x, half = sizes.D / 2, first = blockIdx.y * kHeads;
  const int64_t end = first + kHeads < sizes.B * sizes.H ? first + kHeads : sizes.B * sizes.H;
  for (int64_t begin = 0; begin < half; begin += 32) {
    const int64_t i = begin + lane_id();
    if (warp_id() == 0 && i < half) {
      const double frequency =
          std::pow(sizes.theta, -2.0 * static_cast<double>(i) / static_cast<double>(sizes.D));
      // In half turns, which are reduced without rounding: sin's own reduction of large angles is slow.
      const double half_turns = static_cast<double>(t + sizes.position) * frequency / kPi;
      double sine, cosine;
      sincospi(half_turns, &sine, &cosine);
      cosines[lane_id()] = static_cast<A>(cosine);
      sines[lane_id()] = static_cast<A>(sizes.inverse ? -sine : sine);
    }
    __syncthreads();  // the angles are there before a head is turned by them
    if (i < half) {
      const A c = cosines[lane_id()], s = sines[lane_id()];
      for (int64_t head = first + warp_id(); head < end; head += kWarps) {
        const T* from = x.at(head / sizes.H, head % sizes.H, t);
        T* to = y.at(head / sizes.H, head % sizes.H, t);
        const A low = static_cast<A>(from[i]), high = static_cast<A>(from[half + i]);
        to[i] = static_cast<T>(low * c - high * s);
        to[half + i] = static_cast<T>(low * s + high * c);
      }
    }
    __syncthreads();  // all have read the angles before the next ones are written
  }
}

}  // namespace

template <class T>
void rope(Cuda on, const RopeSizes& sizes, HeadRows<const T> x, HeadRows<T> y) {
  if (sizes.B * sizes.H * sizes.T * sizes.D == 0) return;
  const dim3 grid(static_cast<unsigned>(sizes.T), blocks_for(sizes.B * sizes.H, kHeads));
  launch_body<turn_rows<T>, Body{.replicas = kReplicated<T>}>(grid, kWarps * 32, 0, on.stream, sizes, x, y);
}

#define GALVAN_ROPE(T) template void rope(Cuda, const RopeSizes&, HeadRows<const T>, HeadRows<T>);
GALVAN_ROPE(float)
GALVAN_ROPE(double)
GALVAN_ROPE(bfloat16)

}  // namespace galvan
