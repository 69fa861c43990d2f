// Cross-entropy of logits against class numbers, with label smoothing s and rows that count for nothing.
//   t_v = (1 - s) [v = target] + s / V            z_v = logits_v - max_u logits_u      L = ln sum_v e^(z_v)
//   loss = -sum_v t_v (z_v - L) = L - (1 - s) z_target - s sum_v z_v / V
//   dlogits_v = (e^(z_v - L) - t_v) weight dy
// L is what is kept of a row; z and L are small numbers even where logits are 1e4, their sum would not be.
// Shapes   logits, dlogits [R, V]; targets, losses, log_sums [R]
// Memory   R V sizeof(T) bytes forward, 2 backward
#include "core/cpu/rows.h"
#include "core/kernels.h"
#include "core/parallel.h"

namespace galvan {

template <class T>
void cross_entropy_forward(Cpu, const CrossEntropyRows& p, const T* logits, Acc<T>* losses,
                           Acc<T>* log_sums) {
  using A = Acc<T>;
  const A smoothing = static_cast<A>(p.label_smoothing);
  parallel_ranges(p.rows, rows_per_task(p.classes), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      losses[r] = log_sums[r] = 0;
      if (p.targets[r] == p.ignore_index) continue;
      const T* x = logits + r * p.classes;
      const auto [max, log_sum] = row_log_sum(x, p.classes);
      const A m = max;
      A loss = log_sum - (A(1) - smoothing) * (static_cast<A>(x[p.targets[r]]) - m);
      if (smoothing != 0) {
        const A sum = lane_sum<A>(p.classes, [=](int64_t c) { return static_cast<A>(x[c]) - m; });
        loss -= smoothing * (sum / static_cast<A>(p.classes));
      }
      losses[r] = loss;
      log_sums[r] = log_sum;
    }
  });
}

template <class A>
void cross_entropy_total(Cpu, const CrossEntropyRows& p, const A* losses, bool mean, A* loss, A* weight) {
  int64_t count = 0;
  for (int64_t r = 0; r < p.rows; ++r) count += p.targets[r] != p.ignore_index;
  const double sum = lane_sum<double>(p.rows, [=](int64_t r) { return static_cast<double>(losses[r]); });
  *weight = mean ? A(1) / static_cast<A>(count) : A(1);
  *loss = static_cast<A>(mean ? sum / static_cast<double>(count) : sum);
}

template <class T>
void cross_entropy_backward(Cpu, const CrossEntropyRows& p, const T* logits, const Acc<T>* log_sums,
                            const Acc<T>* dy, int64_t dy_stride, const Acc<T>* weight, T* dlogits) {
  using A = Acc<T>;
  const A smoothing = static_cast<A>(p.label_smoothing);
  const A level = smoothing / static_cast<A>(p.classes);  // t_v of every class but the target
  parallel_ranges(p.rows, rows_per_task(p.classes), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      T* __restrict dx = dlogits + r * p.classes;
      if (p.targets[r] == p.ignore_index) {
        std::fill_n(dx, p.classes, T());
        continue;
      }
      const T* __restrict x = logits + r * p.classes;
      const A m = row_max(x, p.classes), log_sum = log_sums[r];
      const A scale = dy[r * dy_stride] * (weight ? *weight : A(1));
      const auto log_probability = [=](int64_t c) { return (static_cast<A>(x[c]) - m) - log_sum; };
      for_exp<A>(p.classes, log_probability, [&](int64_t first, const A* probability, int64_t count) {
        for (int64_t i = 0; i < count; ++i) dx[first + i] = static_cast<T>((probability[i] - level) * scale);
      });
      const int64_t target = p.targets[r];
      dx[target] = static_cast<T>((std::exp(log_probability(target)) - level - (A(1) - smoothing)) * scale);
    }
  });
}

#define GALVAN_CROSS_ENTROPY(T)                                                                              \
  template void cross_entropy_forward(Cpu, const CrossEntropyRows&, const T*, Acc<T>*, Acc<T>*);             \
  template void cross_entropy_backward(Cpu, const CrossEntropyRows&, const T*, const Acc<T>*, const Acc<T>*, \
                                       int64_t, const Acc<T>*, T*);
GALVAN_CROSS_ENTROPY(float)
GALVAN_CROSS_ENTROPY(double)
GALVAN_CROSS_ENTROPY(bfloat16)
template void cross_entropy_total(Cpu, const CrossEntropyRows&, const float*, bool, float*, float*);
template void cross_entropy_total(Cpu, const CrossEntropyRows&, const double*, bool, double*, double*);

}  // namespace galvan
