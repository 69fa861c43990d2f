// The optimizers' step over the flat arena. Its arithmetic: core/step_control.h, core/update_rules.h.
// Memory   SGD reads weight, gradient, buffer and writes weight, buffer: 20 bytes an element in f32; Adam 28. The
//          squares read the gradients once more
// Compute  under 15 FLOPs an element: bandwidth-bound
// A task is a piece. The loops have no branches that depend on data, so the compiler vectorises them.
#include "core/kernels.h"
#include "core/parallel.h"

namespace galvan {
namespace {

template <class T>
double sum_of_squares(const T* x, int64_t n) {
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

// The n elements at which the blocks' pointers stand.
template <class Update, class T>
void update_elements(const Update& update_of, const UpdateBlocks<T>& blocks, int64_t n) {
  using M = Acc<T>;
  const Update update = update_of;
  constexpr bool kMasters = !std::is_same_v<T, M>;
  T* __restrict weight = blocks.weight;
  M* master = blocks.master;  // without masters these are the weights
  const T* __restrict grad = blocks.grad;
  M* __restrict state0 = blocks.state0;
  M* __restrict state1 = blocks.state1;
  if constexpr (kMasters)  // in loops of their own: all in one, no compiler here makes vector code of it
    for (int64_t i = 0; i < n; ++i) master[i] = current_master(weight[i], master[i]);
  for (int64_t i = 0; i < n; ++i) {
    M state[2] = {};
    if constexpr (Update::kStates > 0) state[0] = state0[i];
    if constexpr (Update::kStates > 1) state[1] = state1[i];
    master[i] = update(master[i], static_cast<M>(grad[i]), state);
    if constexpr (Update::kStates > 0) state0[i] = state[0];
    if constexpr (Update::kStates > 1) state1[i] = state[1];
  }
  if constexpr (kMasters)
    for (int64_t i = 0; i < n; ++i) weight[i] = T(master[i]);
}

}  // namespace

template <class T>
void add_loss(Cpu, const T* loss, StepControl* control) {
  control->loss_sum += static_cast<Acc<T>>(*loss);
  ++control->losses;
}

template <class T>
void squares_of_pieces(Cpu, const T* x, const UpdatePieces& p, double* partials) {
  parallel_for(p.count, [&](int64_t i) {
    const UpdatePiece& piece = p.pieces[i];
    partials[i] = p.has_grad[piece.segment] ? sum_of_squares(x + piece.begin, piece.size) : 0.0;
  });
}

template <class Rule, class M>
void begin_update(Cpu, const Rule& rule, const StepInputs& in,
                  typename Rule::template Coefficients<M>* coefficients) {
  double sum = 0;
  for (int64_t i = 0; i < in.pieces; ++i) sum += in.partials[i];
  const StepDecision decision = decide(in.settings, *in.control, sum);
  if (decision.applied)
    for (int64_t s = 0; s < in.count; ++s)
      if (in.has_grad[s])
        coefficients[s] = rule.template coefficients<M>(in.segments[s],
                                                        inputs_of(decision, in.segments[s], ++in.updates[s]));
  close_step(decision, *in.control, in.records);
}

template <class Rule, class T>
void update_pieces(Cpu, const UpdatePieces& p,
                   const typename Rule::template Coefficients<Acc<T>>* coefficients,
                   const StepControl* control, const UpdateBlocks<T>& blocks) {
  if (!control->applied) return;
  parallel_for(p.count, [&](int64_t i) {
    const UpdatePiece& piece = p.pieces[i];
    if (!p.has_grad[piece.segment]) return;
    const auto from_begin = [&](auto* block) { return block == nullptr ? nullptr : block + piece.begin; };
    const UpdateBlocks<T> here{from_begin(blocks.weight), from_begin(blocks.master), from_begin(blocks.grad),
                               from_begin(blocks.state0), from_begin(blocks.state1)};
    coefficients[piece.segment].with_update(
        [&](const auto& update) { update_elements(update, here, piece.size); });
  });
}

#define GALVAN_RULE(Rule, T)                                                                        \
  template void update_pieces<Rule, T>(Cpu, const UpdatePieces&, const Rule::Coefficients<Acc<T>>*, \
                                       const StepControl*, const UpdateBlocks<T>&);
#define GALVAN_OPTIMIZERS(T)                                                    \
  template void add_loss(Cpu, const T*, StepControl*);                          \
  template void squares_of_pieces(Cpu, const T*, const UpdatePieces&, double*); \
  GALVAN_RULE(SgdRule, T)                                                       \
  GALVAN_RULE(AdamRule, T)
GALVAN_OPTIMIZERS(float)
GALVAN_OPTIMIZERS(double)
GALVAN_OPTIMIZERS(bfloat16)

#define GALVAN_BEGIN(Rule, M) \
  template void begin_update<Rule, M>(Cpu, const Rule&, const StepInputs&, Rule::Coefficients<M>*);
GALVAN_BEGIN(SgdRule, float)
GALVAN_BEGIN(SgdRule, double)
GALVAN_BEGIN(AdamRule, float)
GALVAN_BEGIN(AdamRule, double)

}  // namespace galvan
