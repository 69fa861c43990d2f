// The optimizers' step over the flat arena. Its arithmetic: core/step_control.h, core/update_rules.h.
// Memory   SGD reads weight, gradient, buffer and writes weight, buffer: 20 bytes an element in f32; Adam 28. The
//          squares read the gradients once more
// Compute  under 15 FLOPs an element: bandwidth-bound
// A task is a piece.
#include "core/cpu/ladder/ladder.h"
#include "core/cpu/update_elements.h"
#include "core/kernels.h"
#include "core/parallel.h"
#include "core/variants.h"

namespace galvan {
namespace {

Variants versions("adamw", "cpu",
                  {{"flat", "core/cpu/optimizer.cpp"},
                   {"pass_per_operation", "core/cpu/ladder/adamw_1_pass_per_operation.cpp"},
                   {"one_pass", "core/cpu/ladder/adamw_2_one_pass.cpp"}});

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

// The tensors of which pieces are: neighbours of one segment make a piece of the whole.
template <class F>
void for_tensors(const UpdatePieces& p, const F& body) {
  for (int64_t i = 0; i < p.count;) {
    const UpdatePiece& first = p.pieces[i];
    int64_t size = 0;
    for (; i < p.count && p.pieces[i].segment == first.segment; ++i) size += p.pieces[i].size;
    if (p.has_grad[first.segment]) body(first.segment, first.begin, size);
  }
}

template <class T>
UpdateBlocks<T> from(const UpdateBlocks<T>& blocks, int64_t begin) {
  const auto moved = [&](auto* block) { return block == nullptr ? nullptr : block + begin; };
  return {moved(blocks.weight), moved(blocks.master), moved(blocks.grad), moved(blocks.state0),
          moved(blocks.state1)};
}

template <class Rule, class T>
void update_flat(const UpdatePieces& p, const typename Rule::template Coefficients<Acc<T>>* coefficients,
                 const UpdateBlocks<T>& blocks) {
  parallel_for(p.count, [&](int64_t i) {
    const UpdatePiece& piece = p.pieces[i];
    if (!p.has_grad[piece.segment]) return;
    coefficients[piece.segment].with_update(
        [&](const auto& update) { update_elements(update, from(blocks, piece.begin), piece.size); });
  });
}

template <class T, void (*rung)(const AdamUpdate<Acc<T>>&, const UpdateBlocks<T>&, int64_t)>
void update_tensors(const UpdatePieces& p, const AdamRule::Coefficients<Acc<T>>* coefficients,
                    const UpdateBlocks<T>& blocks) {
  for_tensors(p, [&](int32_t segment, int64_t begin, int64_t size) {
    rung(coefficients[segment].c, from(blocks, begin), size);
  });
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
  if constexpr (std::is_same_v<Rule, AdamRule>) {
    static constexpr decltype(&update_flat<Rule, T>) kVersions[] = {
        update_flat<Rule, T>, update_tensors<T, ladder::adamw_pass_per_operation>,
        update_tensors<T, ladder::adamw_one_pass>};
    versions.pick(kVersions)(p, coefficients, blocks);
  } else {
    update_flat<Rule>(p, coefficients, blocks);
  }
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
