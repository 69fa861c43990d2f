// The optimizers' updates over one dense piece of the arena. Formulas: optim/sgd.h, optim/adam.h.
// Memory   SGD reads weight, gradient, buffer and writes weight, buffer: 20 bytes an element in f32; Adam 28
// Compute  under 15 FLOPs an element: bandwidth-bound
// The loops have no branches that depend on data, so the compiler vectorises them; options are
// loop-invariant.
#include <cmath>

#include "core/kernels.h"

namespace galvan {

template <class T>
void sgd_update(Cpu, const UpdatePiece<T>& p, const SgdCoefficients& c) {
  using M = Acc<T>;
  const M scale = static_cast<M>(c.grad_scale), decay = static_cast<M>(c.weight_decay),
          lr = static_cast<M>(c.lr);
  const M momentum = static_cast<M>(c.momentum), nesterov = static_cast<M>(c.nesterov);
  // Where the learning rate stands: inside the buffer (Caffe) or outside (PyTorch).
  const M gain = static_cast<M>(c.lr_inside ? c.lr * c.gain : c.gain);
  const M direct = static_cast<M>(c.lr_inside ? c.lr : 1.0);
  const M rate = c.lr_inside ? M(1) : lr;
  T* __restrict weight = p.weight;
  M* master = p.master;  // may be `weight`
  const T* __restrict grad = p.grad;
  M* __restrict buffer = p.state0;
  if (!c.has_momentum) {
    for (int64_t i = 0; i < p.n; ++i) {
      const M w = master[i];
      master[i] = w - lr * (static_cast<M>(grad[i]) * scale + decay * w);
    }
  } else if (c.nesterov != 0) {
    for (int64_t i = 0; i < p.n; ++i) {
      const M w = master[i];
      const M g = static_cast<M>(grad[i]) * scale + decay * w;
      const M b = momentum * buffer[i] + gain * g;
      buffer[i] = b;
      master[i] = w - rate * (direct * g + nesterov * b);
    }
  } else {
    for (int64_t i = 0; i < p.n; ++i) {
      const M w = master[i];
      const M b = momentum * buffer[i] + gain * (static_cast<M>(grad[i]) * scale + decay * w);
      buffer[i] = b;
      master[i] = w - rate * b;
    }
  }
  if constexpr (!std::is_same_v<T, M>)
    for (int64_t i = 0; i < p.n; ++i) weight[i] = T(master[i]);
}

template <class T>
void adam_update(Cpu, const UpdatePiece<T>& p, const AdamCoefficients& c) {
  using M = Acc<T>;
  const M scale = static_cast<M>(c.grad_scale), decay = static_cast<M>(c.decay);
  const M weight_decay = static_cast<M>(c.weight_decay);
  const M beta1 = static_cast<M>(c.beta1), one_beta1 = static_cast<M>(1 - c.beta1);
  const M beta2 = static_cast<M>(c.beta2), one_beta2 = static_cast<M>(1 - c.beta2);
  const M step_size = static_cast<M>(c.step_size), root = static_cast<M>(c.inverse_root),
          eps = static_cast<M>(c.eps);
  T* __restrict weight = p.weight;
  M* master = p.master;
  const T* __restrict grad = p.grad;
  M* __restrict first = p.state0;
  M* __restrict second = p.state1;
  for (int64_t i = 0; i < p.n; ++i) {
    const M w = master[i];
    const M g = static_cast<M>(grad[i]) * scale + weight_decay * w;
    const M m = beta1 * first[i] + one_beta1 * g;
    const M v = beta2 * second[i] + one_beta2 * g * g;
    first[i] = m;
    second[i] = v;
    master[i] = w * decay - step_size * m / (std::sqrt(v) * root + eps);
  }
  if constexpr (!std::is_same_v<T, M>)
    for (int64_t i = 0; i < p.n; ++i) weight[i] = T(master[i]);
}

template <class T>
double sum_of_squares(Cpu, const T* x, int64_t n) {
  constexpr int kLanes = 16;  // partial sums, combined in a fixed order
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane) {
      const double value = static_cast<Acc<T>>(x[i + lane]);
      lanes[lane] += value * value;
    }
  for (int lane = 0; i < n; ++i, ++lane) {
    const double value = static_cast<Acc<T>>(x[i]);
    lanes[lane] += value * value;
  }
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

void adopt_masters(Cpu, const bfloat16* weights, float* masters, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    if (bfloat16(masters[i]).bits != weights[i].bits) masters[i] = weights[i];
}

#define GALVAN_INSTANTIATE(T)                                                     \
  template void sgd_update(Cpu, const UpdatePiece<T>&, const SgdCoefficients&);   \
  template void adam_update(Cpu, const UpdatePiece<T>&, const AdamCoefficients&); \
  template double sum_of_squares(Cpu, const T*, int64_t);
GALVAN_INSTANTIATE(float)
GALVAN_INSTANTIATE(double)
GALVAN_INSTANTIATE(bfloat16)

}  // namespace galvan
