// Cross-entropy of logits against class numbers, with label smoothing s and rows that count for nothing.
//   t_v = (1 - s) [v = target] + s / V            z_v = logits_v - max_u logits_u      L = ln sum_v e^(z_v)
//   loss = -sum_v t_v (z_v - L) = L - (1 - s) z_target - s sum_v z_v / V
//   dlogits_v = (e^(z_v - L) - t_v) weight dy
// L is what is kept of a row; z and L are small numbers even where logits are 1e4, their sum would not be.
// Shapes   logits, dlogits [R, V]; targets, losses, log_sums [R]
// Memory   R V sizeof(T) bytes forward, 2 backward, and 2 for both at once, when a row stays in the cache
#include <algorithm>

#include "core/cpu/rows.h"
#include "core/kernels.h"
#include "core/parallel.h"

namespace galvan {

namespace {

template <class T>
struct RowLoss {
  Acc<T> max, log_sum, loss;
};

template <class T>
RowLoss<T> loss_of_row(const CrossEntropyRows& p, const T* x, int64_t target) {
  using A = Acc<T>;
  const A smoothing = static_cast<A>(p.label_smoothing);
  const auto [max, log_sum] = row_log_sum(x, p.classes);
  const A m = max;
  A loss = log_sum - (A(1) - smoothing) * (static_cast<A>(x[target]) - m);
  if (smoothing != 0) {
    const A sum = lane_sum<A>(p.classes, [=](int64_t c) { return static_cast<A>(x[c]) - m; });
    loss -= smoothing * (sum / static_cast<A>(p.classes));
  }
  return {m, log_sum, loss};
}

// dx = (e^(x - m - log_sum) - t) scale;  dx may be x
template <class T>
void gradient_of_row(const CrossEntropyRows& p, const T* x, int64_t target, Acc<T> m, Acc<T> log_sum,
                     Acc<T> scale, T* dx) {
  using A = Acc<T>;
  const A smoothing = static_cast<A>(p.label_smoothing);
  const A level = smoothing / static_cast<A>(p.classes);  // t_v of every class but the target
  const auto log_probability = [=](int64_t c) { return (static_cast<A>(x[c]) - m) - log_sum; };
  const A right = std::exp(log_probability(target));  // before it is overwritten
  for_exp<A>(p.classes, log_probability, [&](int64_t first, const A* probability, int64_t count) {
    for (int64_t i = 0; i < count; ++i) dx[first + i] = static_cast<T>((probability[i] - level) * scale);
  });
  dx[target] = static_cast<T>((right - level - (A(1) - smoothing)) * scale);
}

// Calls of_row(r) for the rows that count, and ignored(r) for the others.
template <class OfRow, class Ignored>
void for_rows(const CrossEntropyRows& p, const OfRow& of_row, const Ignored& ignored) {
  parallel_ranges(p.rows, rows_per_task(p.classes), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      if (p.targets[r] == p.ignore_index) {
        ignored(r);
      } else {
        of_row(r);
      }
    }
  });
}

int64_t rows_that_count(const CrossEntropyRows& p) {
  return p.rows - std::count(p.targets, p.targets + p.rows, p.ignore_index);
}

}  // namespace

template <class T>
void cross_entropy_forward(Cpu, const CrossEntropyRows& p, const T* logits, Acc<T>* losses,
                           Acc<T>* log_sums) {
  const auto of_row = [&](int64_t r) {
    const RowLoss<T> row = loss_of_row(p, logits + r * p.classes, p.targets[r]);
    losses[r] = row.loss;
    log_sums[r] = row.log_sum;
  };
  for_rows(p, of_row, [&](int64_t r) { losses[r] = log_sums[r] = 0; });
}

template <class T>
void cross_entropy_backward(Cpu, const CrossEntropyRows& p, const T* logits, const Acc<T>* log_sums,
                            const Acc<T>* dy, T* dlogits) {
  const auto of_row = [&](int64_t r) {
    const T* const x = logits + r * p.classes;
    gradient_of_row<T>(p, x, p.targets[r], row_max(x, p.classes), log_sums[r], dy[r],
                       dlogits + r * p.classes);
  };
  for_rows(p, of_row, [&](int64_t r) { std::fill_n(dlogits + r * p.classes, p.classes, T()); });
}

template <class T>
void cross_entropy_both(Cpu, const CrossEntropyRows& p, const T* logits, const Acc<T>* weight, Acc<T>* losses,
                        T* dlogits) {
  const Acc<T> upstream = weight ? *weight : Acc<T>(1) / static_cast<Acc<T>>(p.rows);
  const auto of_row = [&](int64_t r) {
    const T* const x = logits + r * p.classes;
    const RowLoss<T> row = loss_of_row(p, x, p.targets[r]);
    losses[r] = row.loss;
    gradient_of_row<T>(p, x, p.targets[r], row.max, row.log_sum, upstream, dlogits + r * p.classes);
  };
  for_rows(p, of_row, [&](int64_t r) {
    losses[r] = 0;
    std::fill_n(dlogits + r * p.classes, p.classes, T());
  });
}

template <class A>
void cross_entropy_weight(Cpu, const CrossEntropyRows& p, A* weight) {
  *weight = A(1) / static_cast<A>(rows_that_count(p));
}

template <class A>
void cross_entropy_total(Cpu, const CrossEntropyRows& p, const A* losses, bool mean, A* loss) {
  const double sum = lane_sum<double>(p.rows, [=](int64_t r) { return static_cast<double>(losses[r]); });
  *loss = static_cast<A>(mean ? sum / static_cast<double>(rows_that_count(p)) : sum);
}

#define GALVAN_CROSS_ENTROPY(T)                                                                              \
  template void cross_entropy_forward(Cpu, const CrossEntropyRows&, const T*, Acc<T>*, Acc<T>*);             \
  template void cross_entropy_backward(Cpu, const CrossEntropyRows&, const T*, const Acc<T>*, const Acc<T>*, \
                                       T*);                                                                  \
  template void cross_entropy_both(Cpu, const CrossEntropyRows&, const T*, const Acc<T>*, Acc<T>*, T*);
GALVAN_CROSS_ENTROPY(float)
GALVAN_CROSS_ENTROPY(double)
GALVAN_CROSS_ENTROPY(bfloat16)
#define GALVAN_CROSS_ENTROPY_TOTAL(A)                                   \
  template void cross_entropy_weight(Cpu, const CrossEntropyRows&, A*); \
  template void cross_entropy_total(Cpu, const CrossEntropyRows&, const A*, bool, A*);
GALVAN_CROSS_ENTROPY_TOTAL(float)
GALVAN_CROSS_ENTROPY_TOTAL(double)

}  // namespace galvan
