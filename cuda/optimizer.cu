// The optimizers' updates over one dense piece of the arena. Formulas: optim/sgd.h, optim/adam.h.
// Memory   SGD reads weight, gradient, buffer and writes weight, buffer: 20 bytes an element in f32; Adam 28.
//          In bf16 the masters take the weights' part, and 2 bytes are written on top
// Compute  under 15 FLOPs an element: bandwidth-bound, judge it in GB/s
// Launch   16 bytes of state a thread, 256 threads a block
#include <algorithm>
#include <cmath>

#include "core/kernels.h"
#include "cuda/pack.h"
#include "cuda/runtime/readback.h"
#include "cuda/warp.h"

namespace galvan {
namespace {

constexpr int kThreads = 256;

// The updates: each gives the new weight for weight w and gradient, and changes the state, of which it has
// kStates numbers an element.

template <class M>
struct SgdStep {
  static constexpr int kStates = 0;
  M scale, decay, lr;

  __device__ M operator()(M w, M grad, M*) const { return w - lr * (grad * scale + decay * w); }
};

template <class M>
struct MomentumStep {
  static constexpr int kStates = 1;
  M scale, decay, momentum, gain, rate;

  __device__ M operator()(M w, M grad, M* state) const {
    const M b = momentum * state[0] + gain * (grad * scale + decay * w);
    state[0] = b;
    return w - rate * b;
  }
};

template <class M>
struct NesterovStep {
  static constexpr int kStates = 1;
  M scale, decay, momentum, gain, rate, direct, nesterov;

  __device__ M operator()(M w, M grad, M* state) const {
    const M g = grad * scale + decay * w;
    const M b = momentum * state[0] + gain * g;
    state[0] = b;
    return w - rate * (direct * g + nesterov * b);
  }
};

template <class M>
struct AdamStep {
  static constexpr int kStates = 2;
  M scale, decay, weight_decay, beta1, one_beta1, beta2, one_beta2, step_size, root, eps;

  __device__ M operator()(M w, M grad, M* state) const {
    const M g = grad * scale + weight_decay * w;
    const M m = beta1 * state[0] + one_beta1 * g;
    const M v = beta2 * state[1] + one_beta2 * g * g;
    state[0] = m;
    state[1] = v;
    return w * decay - step_size * m / (std::sqrt(v) * root + eps);
  }
};

// Elements i to i + N of the piece.
template <int N, class T, class Step>
__device__ inline void update_pack(const UpdatePiece<T>& p, int64_t i, const Step& step) {
  using M = Acc<T>;
  const auto grad = pack_at<N>(p.grad + i);
  auto master = pack_at<N>(p.master + i);
  Pack<M, N> state0{}, state1{};
  if constexpr (Step::kStates > 0) state0 = pack_at<N>(p.state0 + i);
  if constexpr (Step::kStates > 1) state1 = pack_at<N>(p.state1 + i);
#pragma unroll
  for (int e = 0; e < N; ++e) {
    M state[] = {state0.at[e], state1.at[e]};
    master.at[e] = step(master.at[e], M(grad.at[e]), state);
    state0.at[e] = state[0];
    state1.at[e] = state[1];
  }
  pack_at<N>(p.master + i) = master;
  if constexpr (Step::kStates > 0) pack_at<N>(p.state0 + i) = state0;
  if constexpr (Step::kStates > 1) pack_at<N>(p.state1 + i) = state1;
  if constexpr (!std::is_same_v<T, M>) {
    Pack<T, N> weight;
#pragma unroll
    for (int e = 0; e < N; ++e) weight.at[e] = T(master.at[e]);
    pack_at<N>(p.weight + i) = weight;
  }
}

template <class T, class Step>
__global__ void update_pack_per_thread(UpdatePiece<T> p, Step step, bool aligned) {
  constexpr int N = kPack<Acc<T>>;
  const int64_t first = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * N;
  if (aligned && first + N <= p.n) {
    update_pack<N>(p, first, step);
  } else {
    for (int64_t i = first; i < first + N && i < p.n; ++i) update_pack<1>(p, i, step);
  }
}

template <class Step, class T>
void update(Cuda on, const UpdatePiece<T>& p, const Step& step) {
  using M = Acc<T>;
  if (p.n == 0) return;
  constexpr size_t N = kPack<M>;
  const auto aligned = [](const auto* x) { return reinterpret_cast<uintptr_t>(x) % (N * sizeof(*x)) == 0; };
  const bool all =
      aligned(p.weight) && aligned(p.master) && aligned(p.grad) && aligned(p.state0) && aligned(p.state1);
  launch<update_pack_per_thread<T, Step>>(blocks_for(p.n, kThreads * N), kThreads, 0, on.stream, p, step,
                                          all);
}

// Each block's sum, in double; what a thread adds is fixed by n.
template <class T, bool kWhole>
__global__ void sum_of_squares_of_block(const T* x, int64_t n, double* sums) {
  const int64_t step = int64_t{gridDim.x} * kThreads * kPack<T>;
  double sum = 0;
  for (int64_t i = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kPack<T>; i < n; i += step) {
    const auto pack = load_pack<kWhole>(x, i, n);
#pragma unroll
    for (int e = 0; e < kPack<T>; ++e) {
      const double value = Acc<T>(pack.at[e]);
      sum += value * value;
    }
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

__global__ void adopt_masters_element_per_thread(const bfloat16* weights, float* masters, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n && bfloat16(masters[i]).bits != weights[i].bits) masters[i] = weights[i];
}

}  // namespace

template <class T>
void sgd_update(Cuda on, const UpdatePiece<T>& piece, const SgdCoefficients& c) {
  using M = Acc<T>;
  const M scale = static_cast<M>(c.grad_scale), decay = static_cast<M>(c.weight_decay),
          lr = static_cast<M>(c.lr);
  if (!c.has_momentum) return update(on, piece, SgdStep<M>{scale, decay, lr});
  // Where the learning rate stands: inside the buffer (Caffe) or outside (PyTorch).
  const M momentum = static_cast<M>(c.momentum), nesterov = static_cast<M>(c.nesterov);
  const M gain = static_cast<M>(c.lr_inside ? c.lr * c.gain : c.gain);
  const M direct = static_cast<M>(c.lr_inside ? c.lr : 1.0);
  const M rate = c.lr_inside ? M(1) : lr;
  if (c.nesterov == 0) return update(on, piece, MomentumStep<M>{scale, decay, momentum, gain, rate});
  update(on, piece, NesterovStep<M>{scale, decay, momentum, gain, rate, direct, nesterov});
}

template <class T>
void adam_update(Cuda on, const UpdatePiece<T>& piece, const AdamCoefficients& c) {
  using M = Acc<T>;
  update(on, piece,
         AdamStep<M>{.scale = static_cast<M>(c.grad_scale),
                     .decay = static_cast<M>(c.decay),
                     .weight_decay = static_cast<M>(c.weight_decay),
                     .beta1 = static_cast<M>(c.beta1),
                     .one_beta1 = static_cast<M>(1 - c.beta1),
                     .beta2 = static_cast<M>(c.beta2),
                     .one_beta2 = static_cast<M>(1 - c.beta2),
                     .step_size = static_cast<M>(c.step_size),
                     .root = static_cast<M>(c.inverse_root),
                     .eps = static_cast<M>(c.eps)});
}

template <class T>
double sum_of_squares(Cuda on, const T* x, int64_t n) {
  constexpr unsigned kMostBlocks = 512;
  if (n == 0) return 0;
  thread_local const Readback<double> sums(kMostBlocks);
  const unsigned blocks = std::min(kMostBlocks, blocks_for(n, kThreads * kPack<T>));
  if (packs_are_whole<T>(n, {x})) {
    launch<sum_of_squares_of_block<T, true>>(blocks, kThreads, 0, on.stream, x, n, sums.device());
  } else {
    launch<sum_of_squares_of_block<T, false>>(blocks, kThreads, 0, on.stream, x, n, sums.device());
  }
  const double* values = sums.read(on.stream, blocks);
  double sum = 0;
  for (unsigned b = 0; b < blocks; ++b) sum += values[b];
  return sum;
}

void adopt_masters(Cuda on, const bfloat16* weights, float* masters, int64_t n) {
  if (n == 0) return;
  launch<adopt_masters_element_per_thread>(blocks_for(n, kThreads), kThreads, 0, on.stream, weights, masters,
                                           n);
}

#define GALVAN_OPTIMIZERS(T)                                                       \
  template void sgd_update(Cuda, const UpdatePiece<T>&, const SgdCoefficients&);   \
  template void adam_update(Cuda, const UpdatePiece<T>&, const AdamCoefficients&); \
  template double sum_of_squares(Cuda, const T*, int64_t);
GALVAN_OPTIMIZERS(float)
GALVAN_OPTIMIZERS(double)
GALVAN_OPTIMIZERS(bfloat16)

}  // namespace galvan
