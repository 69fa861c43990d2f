// AdamW, rung 1: a launch for each piece: a parameter's tensor or, of a large one, 16,384 elements.
// Changed  (the lowest rung: what a loop over the parameters does; what training uses has one launch for all pieces)
// Costs    a launch takes longer to begin than a small tensor to be updated, and the next waits for its end; a model
//          has several tensors a layer, most of them small
// Memory   28 bytes an element in f32, 30 in bf16, as in one launch
// Launch   four blocks of 256 threads, as often as there are pieces
// Figure   launches, in README.md
#include "cuda/ladder/adamw.h"
#include "cuda/update_pack.h"

namespace galvan::ladder {
namespace {

template <class T>
__global__ void update_one_piece(UpdatePieces p, int64_t piece,
                                 const AdamRule::Coefficients<Acc<T>>* coefficients,
                                 const StepControl* control, UpdateBlocks<T> blocks) {
  update_part<AdamRule, T>(p, piece, static_cast<int>(blockIdx.x), coefficients, control, blocks);
}

}  // namespace

template <class T>
void adamw_per_piece(cudaStream_t stream, const UpdatePieces& pieces,
                     const AdamRule::Coefficients<Acc<T>>* coefficients, const StepControl* control,
                     const UpdateBlocks<T>& blocks) {
  for (int64_t piece = 0; piece < pieces.count; ++piece)
    launch<update_one_piece<T>>(kUpdateParts, kUpdateThreads, 0, stream, pieces, piece, coefficients, control,
                                blocks);
}
template void adamw_per_piece(cudaStream_t, const UpdatePieces&, const AdamRule::Coefficients<float>*,
                              const StepControl*, const UpdateBlocks<float>&);
template void adamw_per_piece(cudaStream_t, const UpdatePieces&, const AdamRule::Coefficients<float>*,
                              const StepControl*, const UpdateBlocks<bfloat16>&);

}  // namespace galvan::ladder
