// The optimizers' step over the flat arena. Its arithmetic: core/step_control.h, core/update_rules.h. Everything
// that changes from step to step is read from the card's memory, so the launches may be captured once and replayed.
// Memory   SGD reads weight, gradient, buffer and writes weight, buffer: 20 bytes an element in f32; Adam 28.
//          In bf16 the masters take the weights' part, and the weights are read and written on top: 22 and
//          30. The squares read the gradients once more
// Compute  under 15 FLOPs an element: bandwidth-bound, judge it in GB/s
// Ladder   cuda/ladder/README.md: Adam's update is the second rung of two
// Launch   squares: a piece a block; the decision: one block; the update: 16 bytes of state a thread, a quarter of a
//          piece a block
#include "core/kernels.h"
#include "core/variants.h"
#include "cuda/ladder/adamw.h"
#include "cuda/pack.h"
#include "cuda/replicas.h"
#include "cuda/update_pack.h"
#include "cuda/warp.h"

namespace galvan {
namespace {

Variants variants("adamw", "cuda",
                  {{"flat", "cuda/optimizer.cu"}, {"per_piece", "cuda/ladder/adamw_1_per_piece.cu"}});

constexpr int kSquareThreads = 256;
constexpr int kBeginThreads = 512;

template <class T>
__device__ void add_one_loss(const T* loss, StepControl* control) {
  control->loss_sum += Acc<T>(*loss);
  ++control->losses;
}

template <class T>
__device__ void squares_block_per_piece(const T* x, UpdatePieces p, double* partials) {
  double sum = 0;
  if (is_updated(p, blockIdx.x)) {
    const UpdatePiece piece = p.pieces[blockIdx.x];
    x += piece.begin;
#pragma unroll 4  // so many packs are read at once
    for (int i = int(threadIdx.x) * kPack<T>; i < piece.size; i += kSquareThreads * kPack<T>) {
      const Wide<T> pack = widened<T>(i + kPack<T> <= piece.size ? load_raw<true>(x, i, piece.size)
                                                                 : load_raw<false>(x, i, piece.size));
#pragma unroll
      for (int e = 0; e < kPack<T>; ++e) sum += double(pack.at[e]) * double(pack.at[e]);
    }
  }
  sum = block_sum(sum);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

template <class Rule, class M>
__device__ void begin_update_one_block(Rule rule, StepInputs in,
                                       typename Rule::template Coefficients<M>* coefficients) {
  double sum = 0;
  for (int64_t i = threadIdx.x; i < in.pieces; i += kBeginThreads) sum += in.partials[i];
  sum = block_sum(sum);
  const StepDecision decision = decide(in.settings, *in.control, sum);
  if (decision.applied)
    for (int64_t s = threadIdx.x; s < in.count; s += kBeginThreads)
      if (in.has_grad[s])
        coefficients[s] = rule.template coefficients<M>(in.segments[s],
                                                        inputs_of(decision, in.segments[s], ++in.updates[s]));
  __syncthreads();  // all have decided before the control block changes
  if (threadIdx.x == 0) close_step(decision, *in.control, in.records);
}

template <class Rule, class T>
__device__ void update_quarter_piece_per_block(
    UpdatePieces p, const typename Rule::template Coefficients<Acc<T>>* coefficients,
    const StepControl* control, UpdateBlocks<T> blocks) {
  update_part<Rule, T>(p, blockIdx.x, static_cast<int>(blockIdx.y), coefficients, control, blocks);
}

}  // namespace

template <class T>
void add_loss(Cuda on, const T* loss, StepControl* control) {
  launch_body<add_one_loss<T>, Body{.replicas = kReplicated<T>}>(1, 1, 0, on.stream, loss, control);
}

template <class T>
void squares_of_pieces(Cuda on, const T* x, const UpdatePieces& pieces, double* partials) {
  if (pieces.count == 0) return;
  launch_body<squares_block_per_piece<T>, Body{.replicas = kReplicated<T>}>(
      static_cast<unsigned>(pieces.count), kSquareThreads, 0, on.stream, x, pieces, partials);
}

template <class Rule, class M>
void begin_update(Cuda on, const Rule& rule, const StepInputs& inputs,
                  typename Rule::template Coefficients<M>* coefficients) {
  launch_body<begin_update_one_block<Rule, M>, Body{.replicas = kReplicated<M>}>(
      1, kBeginThreads, 0, on.stream, rule, inputs, coefficients);
}

template <class Rule, class T>
void update_pieces(Cuda on, const UpdatePieces& pieces,
                   const typename Rule::template Coefficients<Acc<T>>* coefficients,
                   const StepControl* control, const UpdateBlocks<T>& blocks) {
  if (pieces.count == 0) return;
  if constexpr (std::is_same_v<Rule, AdamRule> && !std::is_same_v<T, double>)
    if (variants.chosen() > 0)
      return ladder::adamw_per_piece(on.stream, pieces, coefficients, control, blocks);
  launch_body<update_quarter_piece_per_block<Rule, T>, Body{.replicas = kReplicated<T>}>(
      dim3(static_cast<unsigned>(pieces.count), kUpdateParts), kUpdateThreads, 0, on.stream, pieces,
      coefficients, control, blocks);
}

#define GALVAN_RULE(Rule, T)                                                                         \
  template void update_pieces<Rule, T>(Cuda, const UpdatePieces&, const Rule::Coefficients<Acc<T>>*, \
                                       const StepControl*, const UpdateBlocks<T>&);
#define GALVAN_OPTIMIZERS(T)                                                     \
  template void add_loss(Cuda, const T*, StepControl*);                          \
  template void squares_of_pieces(Cuda, const T*, const UpdatePieces&, double*); \
  GALVAN_RULE(SgdRule, T)                                                        \
  GALVAN_RULE(AdamRule, T)
GALVAN_OPTIMIZERS(float)
GALVAN_OPTIMIZERS(double)
GALVAN_OPTIMIZERS(bfloat16)

#define GALVAN_BEGIN(Rule, M) \
  template void begin_update<Rule, M>(Cuda, const Rule&, const StepInputs&, Rule::Coefficients<M>*);
GALVAN_BEGIN(SgdRule, float)
GALVAN_BEGIN(SgdRule, double)
GALVAN_BEGIN(AdamRule, float)
GALVAN_BEGIN(AdamRule, double)

}  // namespace galvan
